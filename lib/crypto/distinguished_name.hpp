// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace sluice::crypto {

// Distinguished names (X.501), as ID_DER_ASN1_DN and certificates carry them: a DER Name.

// "C=CH, O=Sluice, CN=moon" in the order of the certificate, with OpenSSL's short or long attribute names; a backslash
// takes the next character as it is. Values become UTF8String, or PrintableString for C and serialNumber.
Result<ByteVec> parse_dn(std::string_view text);
// The same form; what is not printable is escaped. Empty where it is no Name.
std::string dn_text(Bytes der);
// RFC 5280 7.1: case, string type and repeated blanks do not matter. False where either is no Name.
bool dn_equal(Bytes a, Bytes b);

}  // namespace sluice::crypto
