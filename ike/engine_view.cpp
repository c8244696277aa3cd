// SPDX-License-Identifier: Apache-2.0
#include "ike/engine_view.hpp"

namespace sluice::ike {
namespace {

std::string state_name(const IkeSa& sa) {
    if (sa.phase == Phase::established) return sa.superseded ? "REKEYED" : "ESTABLISHED";
    return sa.phase == Phase::deleting ? "DELETING" : "CONNECTING";
}

std::string state_name(ChildState state) {
    if (state == ChildState::installed) return "INSTALLED";
    if (state == ChildState::deleted) return "DELETED";
    return state == ChildState::rekeyed ? "REKEYED" : "DELETING";
}

}  // namespace

IkeView view_of(const IkeSa& sa) {
    IkeView view{.id = sa.id,
                 .name = sa.connection->name,
                 .state = state_name(sa),
                 .initiator = sa.initiator,
                 .initiator_spi = sa.initiator_spi(),
                 .responder_spi = sa.responder_spi(),
                 .local = sa.path.local,
                 .remote = sa.path.remote,
                 .local_id = sa.local_id.to_string(),
                 .remote_id = sa.remote_id.to_string(),
                 .nat_local = sa.nat_local,
                 .nat_remote = sa.nat_remote,
                 .suite = sa.suite,
                 .established = sa.established,
                 .rekey_at = sa.rekey_at,
                 .reauth_at = sa.reauth_at};
    for (const Child& child : sa.children)
        view.children.push_back({child.sa, state_name(child.state), child.installed, child.group});
    return view;
}

}  // namespace sluice::ike
