// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace sluice::ike {

// Notify message types (RFC 7296 3.10.1 and IANA's registry). Any other value off the wire is kept as its number:
// unknown errors (below 16384) fail the request that they answer, unknown status types are ignored.
enum class NotifyType : std::uint16_t {
    none = 0,
    unsupported_critical_payload = 1,
    invalid_ike_spi = 4,
    invalid_major_version = 5,
    invalid_syntax = 7,
    invalid_message_id = 9,
    invalid_spi = 11,
    no_proposal_chosen = 14,
    invalid_ke_payload = 17,
    authentication_failed = 24,
    single_pair_required = 34,
    no_additional_sas = 35,
    internal_address_failure = 36,
    failed_cp_required = 37,
    ts_unacceptable = 38,
    invalid_selectors = 39,
    unacceptable_addresses = 40,
    unexpected_nat_detected = 41,
    temporary_failure = 43,
    child_sa_not_found = 44,
    initial_contact = 16384,
    set_window_size = 16385,
    additional_ts_possible = 16386,
    ipcomp_supported = 16387,
    nat_detection_source_ip = 16388,
    nat_detection_destination_ip = 16389,
    cookie = 16390,
    use_transport_mode = 16391,
    http_cert_lookup_supported = 16392,
    rekey_sa = 16393,
    esp_tfc_padding_not_supported = 16394,
    non_first_fragments_also = 16395,
    mobike_supported = 16396,
    additional_ip4_address = 16397,
    additional_ip6_address = 16398,
    no_additional_addresses = 16399,
    update_sa_addresses = 16400,
    cookie2 = 16401,
    no_nats_allowed = 16402,
    multiple_auth_supported = 16404,
    another_auth_follows = 16405,
    redirect_supported = 16406,
    redirect = 16407,
    redirected_from = 16408,
    eap_only_authentication = 16417,
    childless_ikev2_supported = 16418,
    ikev2_fragmentation_supported = 16430,
    signature_hash_algorithms = 16431,
    use_ppk = 16435,
    ppk_identity = 16436,
    no_ppk_auth = 16437,
};

// RFC 7296 3.10.1: types below 16384 report errors.
constexpr bool is_error(NotifyType type) { return static_cast<std::uint16_t>(type) < 16384; }

// "NO_PROPOSAL_CHOSEN" as the RFC spells it; "NOTIFY_12345" where nothing here knows the number.
std::string to_string(NotifyType type);

}  // namespace sluice::ike
