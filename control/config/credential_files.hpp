// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "control/config/schema.hpp"

// Keys, certificates and revocation lists: files of the configuration, and what VICI clients load.
namespace sluice::control {

inline constexpr std::size_t kMaxCredentialFile = 4 << 20;  // bytes

// The content of a file with an absolute path; it wipes itself, since it may be a key. The error names the path.
Result<SecretBytes> read_credential_file(const std::string& path);

Result<std::vector<crypto::Certificate>> read_certificates(const std::string& path);
Result<crypto::PublicKey> read_public_key(const std::string& path);
// A "file://" URI.
Result<crypto::Crl> read_crl(const std::string& uri);

// "pubkey", "rsa", "rsa/pss-sha256", "ecdsa-sha384", "ed25519", "ed448", "psk", "null": method and signatures. An
// "ike:" before it, which tells strongSwan to leave the chain's own signatures alone, is what it means here anyway.
Verdict set_auth_method(ike::AuthConfig& into, const ConfigNode& value);

// [authorities.NAME]: CAs and their CRLs.
void load_authorities(const ConfigNode& root, ike::Credentials& into, Findings& findings);
SectionDoc authority_reference();

}  // namespace sluice::control
