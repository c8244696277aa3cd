// SPDX-License-Identifier: Apache-2.0
#include "ike/notify_type.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace sluice::ike {
namespace {

struct Name {
    NotifyType type;
    std::string_view name;
};
constexpr std::array kNames{
    Name{NotifyType::unsupported_critical_payload, "UNSUPPORTED_CRITICAL_PAYLOAD"},
    Name{NotifyType::invalid_ike_spi, "INVALID_IKE_SPI"},
    Name{NotifyType::invalid_major_version, "INVALID_MAJOR_VERSION"},
    Name{NotifyType::invalid_syntax, "INVALID_SYNTAX"},
    Name{NotifyType::invalid_message_id, "INVALID_MESSAGE_ID"},
    Name{NotifyType::invalid_spi, "INVALID_SPI"},
    Name{NotifyType::no_proposal_chosen, "NO_PROPOSAL_CHOSEN"},
    Name{NotifyType::invalid_ke_payload, "INVALID_KE_PAYLOAD"},
    Name{NotifyType::authentication_failed, "AUTHENTICATION_FAILED"},
    Name{NotifyType::single_pair_required, "SINGLE_PAIR_REQUIRED"},
    Name{NotifyType::no_additional_sas, "NO_ADDITIONAL_SAS"},
    Name{NotifyType::internal_address_failure, "INTERNAL_ADDRESS_FAILURE"},
    Name{NotifyType::failed_cp_required, "FAILED_CP_REQUIRED"},
    Name{NotifyType::ts_unacceptable, "TS_UNACCEPTABLE"},
    Name{NotifyType::invalid_selectors, "INVALID_SELECTORS"},
    Name{NotifyType::unacceptable_addresses, "UNACCEPTABLE_ADDRESSES"},
    Name{NotifyType::unexpected_nat_detected, "UNEXPECTED_NAT_DETECTED"},
    Name{NotifyType::temporary_failure, "TEMPORARY_FAILURE"},
    Name{NotifyType::child_sa_not_found, "CHILD_SA_NOT_FOUND"},
    Name{NotifyType::initial_contact, "INITIAL_CONTACT"},
    Name{NotifyType::set_window_size, "SET_WINDOW_SIZE"},
    Name{NotifyType::additional_ts_possible, "ADDITIONAL_TS_POSSIBLE"},
    Name{NotifyType::ipcomp_supported, "IPCOMP_SUPPORTED"},
    Name{NotifyType::nat_detection_source_ip, "NAT_DETECTION_SOURCE_IP"},
    Name{NotifyType::nat_detection_destination_ip, "NAT_DETECTION_DESTINATION_IP"},
    Name{NotifyType::cookie, "COOKIE"},
    Name{NotifyType::use_transport_mode, "USE_TRANSPORT_MODE"},
    Name{NotifyType::http_cert_lookup_supported, "HTTP_CERT_LOOKUP_SUPPORTED"},
    Name{NotifyType::rekey_sa, "REKEY_SA"},
    Name{NotifyType::esp_tfc_padding_not_supported, "ESP_TFC_PADDING_NOT_SUPPORTED"},
    Name{NotifyType::non_first_fragments_also, "NON_FIRST_FRAGMENTS_ALSO"},
    Name{NotifyType::mobike_supported, "MOBIKE_SUPPORTED"},
    Name{NotifyType::additional_ip4_address, "ADDITIONAL_IP4_ADDRESS"},
    Name{NotifyType::additional_ip6_address, "ADDITIONAL_IP6_ADDRESS"},
    Name{NotifyType::no_additional_addresses, "NO_ADDITIONAL_ADDRESSES"},
    Name{NotifyType::update_sa_addresses, "UPDATE_SA_ADDRESSES"},
    Name{NotifyType::cookie2, "COOKIE2"},
    Name{NotifyType::no_nats_allowed, "NO_NATS_ALLOWED"},
    Name{NotifyType::multiple_auth_supported, "MULTIPLE_AUTH_SUPPORTED"},
    Name{NotifyType::another_auth_follows, "ANOTHER_AUTH_FOLLOWS"},
    Name{NotifyType::redirect_supported, "REDIRECT_SUPPORTED"},
    Name{NotifyType::redirect, "REDIRECT"},
    Name{NotifyType::redirected_from, "REDIRECTED_FROM"},
    Name{NotifyType::eap_only_authentication, "EAP_ONLY_AUTHENTICATION"},
    Name{NotifyType::childless_ikev2_supported, "CHILDLESS_IKEV2_SUPPORTED"},
    Name{NotifyType::ikev2_fragmentation_supported, "IKEV2_FRAGMENTATION_SUPPORTED"},
    Name{NotifyType::signature_hash_algorithms, "SIGNATURE_HASH_ALGORITHMS"},
    Name{NotifyType::use_ppk, "USE_PPK"},
    Name{NotifyType::ppk_identity, "PPK_IDENTITY"},
    Name{NotifyType::no_ppk_auth, "NO_PPK_AUTH"},
};

}  // namespace

std::string to_string(NotifyType type) {
    const auto* found = std::find_if(kNames.begin(), kNames.end(), [&](const Name& n) { return n.type == type; });
    if (found != kNames.end()) return std::string(found->name);
    return "NOTIFY_" + std::to_string(static_cast<unsigned>(type));
}

}  // namespace sluice::ike
