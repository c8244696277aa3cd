// SPDX-License-Identifier: Apache-2.0
#include "control/host/route_messages.hpp"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace sluice::control {
namespace {

constexpr std::size_t kMaxAttribute = 64;
using Attributes = std::array<const nlattr*, kMaxAttribute>;

Attributes attributes(const nlmsghdr* message, std::size_t family_header) {
    Attributes found{};
    mnl_attr_parse(
        message, static_cast<unsigned>(family_header),
        [](const nlattr* attribute, void* out) {
            const std::uint16_t type = mnl_attr_get_type(attribute);
            if (type < kMaxAttribute) (*static_cast<Attributes*>(out))[type] = attribute;
            return MNL_CB_OK;
        },
        &found);
    return found;
}

Bytes payload(const nlattr* attribute) {
    if (attribute == nullptr) return {};
    return {static_cast<const Byte*>(mnl_attr_get_payload(attribute)), mnl_attr_get_payload_len(attribute)};
}

std::uint32_t number(const nlattr* attribute, std::uint32_t otherwise) {
    const Bytes bytes = payload(attribute);
    std::uint32_t value = otherwise;
    if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

net::IpAddress address_of(int family, Bytes bytes) {
    if (family == AF_INET && bytes.size() == 4) return net::IpAddress::v4(bytes.first<4>());
    if (family == AF_INET6 && bytes.size() == 16) return net::IpAddress::v6(bytes.first<16>());
    return {};
}

// RTA_VIA: a gateway of another family than the route's (RFC 8950 style next hops).
net::IpAddress via(const nlattr* attribute) {
    const Bytes bytes = payload(attribute);
    std::uint16_t family = 0;
    if (bytes.size() < sizeof family) return {};
    std::memcpy(&family, bytes.data(), sizeof family);
    return address_of(family, bytes.subspan(sizeof family));
}

template <class Header>
const Header* header_of(const nlmsghdr* message) {
    if (mnl_nlmsg_get_payload_len(message) < sizeof(Header)) return nullptr;
    return static_cast<const Header*>(mnl_nlmsg_get_payload(message));
}

std::optional<RouteNetlink> decode_address(const nlmsghdr* message) {
    const auto* header = header_of<ifaddrmsg>(message);
    if (header == nullptr) return {};
    const Attributes found = attributes(message, sizeof *header);
    AddressMessage out;
    out.removed = message->nlmsg_type == RTM_DELADDR;
    out.interface = static_cast<int>(header->ifa_index);
    out.prefix_length = header->ifa_prefixlen;
    out.address = address_of(header->ifa_family, payload(found[IFA_LOCAL]));
    if (!out.address) out.address = address_of(header->ifa_family, payload(found[IFA_ADDRESS]));
    if (!out.address || out.prefix_length > out.address.size() * 8) return {};
    out.usable = (number(found[IFA_FLAGS], header->ifa_flags) & IFA_F_DADFAILED) == 0;
    return out;
}

constexpr std::uint8_t kDeadHop = RTNH_F_DEAD | RTNH_F_LINKDOWN;

NextHop hop_of(int family, const Attributes& found, int interface, unsigned flags) {
    NextHop hop;
    hop.gateway = address_of(family, payload(found[RTA_GATEWAY]));
    if (!hop.gateway) hop.gateway = via(found[RTA_VIA]);
    hop.interface = interface;
    hop.dead = (flags & kDeadHop) != 0;
    return hop;
}

std::vector<NextHop> multipath(int family, Bytes bytes) {
    std::vector<NextHop> hops;
    while (bytes.size() >= sizeof(rtnexthop)) {
        rtnexthop header;
        std::memcpy(&header, bytes.data(), sizeof header);
        if (header.rtnh_len < sizeof header || header.rtnh_len > bytes.size()) break;
        Attributes found{};
        const Bytes inner = bytes.subspan(sizeof header, header.rtnh_len - sizeof header);
        mnl_attr_parse_payload(
            inner.data(), inner.size(),
            [](const nlattr* attribute, void* out) {
                const std::uint16_t type = mnl_attr_get_type(attribute);
                if (type < kMaxAttribute) (*static_cast<Attributes*>(out))[type] = attribute;
                return MNL_CB_OK;
            },
            &found);
        hops.push_back(hop_of(family, found, header.rtnh_ifindex, header.rtnh_flags));
        bytes = bytes.subspan(std::min<std::size_t>(MNL_ALIGN(header.rtnh_len), bytes.size()));
    }
    return hops;
}

std::optional<RouteNetlink> decode_route(const nlmsghdr* message) {
    const auto* header = header_of<rtmsg>(message);
    if (header == nullptr || (header->rtm_flags & RTM_F_CLONED) != 0) return {};
    const int family = header->rtm_family;
    const std::size_t width = family == AF_INET ? 32 : family == AF_INET6 ? 128 : 0;
    if (width == 0 || header->rtm_dst_len > width) return {};
    RouteMessage out;
    out.blackhole =
        header->rtm_type == RTN_BLACKHOLE || header->rtm_type == RTN_UNREACHABLE || header->rtm_type == RTN_PROHIBIT;
    if (header->rtm_type != RTN_UNICAST && !out.blackhole) return {};
    const Attributes found = attributes(message, sizeof *header);
    out.removed = message->nlmsg_type == RTM_DELROUTE;
    const std::array<Byte, 16> zero{};
    net::IpAddress destination = address_of(family, payload(found[RTA_DST]));
    if (!destination) destination = address_of(family, Bytes(zero).first(width / 8));
    out.destination = net::Prefix::of(destination, header->rtm_dst_len);
    out.metric = number(found[RTA_PRIORITY], 0);
    out.table = number(found[RTA_TABLE], header->rtm_table);
    if (out.blackhole) return out;
    if (found[RTA_MULTIPATH] != nullptr)
        out.hops = multipath(family, payload(found[RTA_MULTIPATH]));
    else
        out.hops = {hop_of(family, found, static_cast<int>(number(found[RTA_OIF], 0)), header->rtm_flags)};
    return out;
}

std::optional<RouteNetlink> decode_neighbour(const nlmsghdr* message) {
    const auto* header = header_of<ndmsg>(message);
    if (header == nullptr || (header->ndm_flags & NTF_PROXY) != 0) return {};
    const Attributes found = attributes(message, sizeof *header);
    NeighbourMessage out;
    out.removed = message->nlmsg_type == RTM_DELNEIGH;
    out.interface = header->ndm_ifindex;
    out.address = address_of(header->ndm_family, payload(found[NDA_DST]));
    if (!out.address) return {};
    const Bytes mac = payload(found[NDA_LLADDR]);
    constexpr unsigned kUnusable = NUD_INCOMPLETE | NUD_FAILED | NUD_NOARP;
    out.usable = mac.size() == out.mac.bytes.size() && header->ndm_state != NUD_NONE &&
                 (header->ndm_state & kUnusable) == 0 && !out.removed;
    if (out.usable) std::copy(mac.begin(), mac.end(), out.mac.bytes.begin());
    return out;
}

std::optional<RouteNetlink> decode(const nlmsghdr* message) {
    switch (message->nlmsg_type) {
        case RTM_NEWADDR:
        case RTM_DELADDR:
            return decode_address(message);
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
            return decode_route(message);
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
            return decode_neighbour(message);
        case RTM_NEWLINK:
        case RTM_DELLINK: {
            const auto* header = header_of<ifinfomsg>(message);
            if (header == nullptr) return {};
            return LinkMessage{header->ifi_index};
        }
        case NLMSG_DONE:
            return DoneMessage{};
        case NLMSG_ERROR: {
            const auto* header = header_of<nlmsgerr>(message);
            if (header == nullptr) return {};
            return ErrorMessage{-header->error};
        }
        default:
            return {};
    }
}

// A request under construction. The buffer is larger than any request made here.
class Request {
  public:
    Request(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence)
        : message_(mnl_nlmsg_put_header(buffer_.data())) {
        message_->nlmsg_type = type;
        message_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        message_->nlmsg_seq = sequence;
    }
    template <class Header>
    Header& header() {
        return *static_cast<Header*>(mnl_nlmsg_put_extra_header(message_, sizeof(Header)));
    }
    void put(std::uint16_t type, Bytes bytes) { mnl_attr_put(message_, type, bytes.size(), bytes.data()); }
    void put_number(std::uint16_t type, std::uint32_t value) { mnl_attr_put_u32(message_, type, value); }
    nlattr* nest(std::uint16_t type) { return mnl_attr_nest_start(message_, type); }
    void end(nlattr* nested) { mnl_attr_nest_end(message_, nested); }
    ByteVec bytes() const { return {buffer_.begin(), buffer_.begin() + message_->nlmsg_len}; }

  private:
    alignas(nlmsghdr) std::array<Byte, 512> buffer_{};
    nlmsghdr* message_;
};

std::uint8_t family_of(const net::IpAddress& address) {
    return static_cast<std::uint8_t>(address.is_v4() ? AF_INET : AF_INET6);
}
constexpr std::uint16_t kCreate = NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK;

}  // namespace

void decode_datagram(Bytes datagram, const std::function<void(const MessageContext&, const RouteNetlink&)>& visit) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(datagram.data());
    int left = static_cast<int>(datagram.size());
    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        const auto decoded = decode(message);
        const bool interrupted = (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (decoded) visit({message->nlmsg_seq, message->nlmsg_pid, interrupted}, *decoded);
    }
}

ByteVec dump_request(DumpKind kind, std::uint32_t sequence) {
    const std::uint16_t type = kind == DumpKind::addresses    ? RTM_GETADDR
                               : kind == DumpKind::neighbours ? RTM_GETNEIGH
                                                              : RTM_GETROUTE;
    Request request(type, NLM_F_DUMP, sequence);
    if (kind == DumpKind::addresses) {
        request.header<ifaddrmsg>();
    } else if (kind == DumpKind::neighbours) {
        request.header<ndmsg>();
    } else {
        request.header<rtmsg>().rtm_family =
            static_cast<std::uint8_t>(kind == DumpKind::routes_v4 ? AF_INET : AF_INET6);
    }
    return request.bytes();
}

ByteVec add_address_request(const dataplane::LocalAddress& address, int interface, std::uint32_t sequence) {
    Request request(RTM_NEWADDR, kCreate, sequence);
    auto& header = request.header<ifaddrmsg>();
    header.ifa_family = family_of(address.address);
    header.ifa_prefixlen = address.prefix_length;
    header.ifa_index = static_cast<unsigned>(interface);
    if (address.address.is_v6()) header.ifa_flags = IFA_F_NODAD;
    request.put(IFA_LOCAL, address.address.bytes());
    request.put(IFA_ADDRESS, address.address.bytes());
    return request.bytes();
}

ByteVec remove_address_request(const AddressMessage& address, std::uint32_t sequence) {
    Request request(RTM_DELADDR, NLM_F_ACK, sequence);
    auto& header = request.header<ifaddrmsg>();
    header.ifa_family = family_of(address.address);
    header.ifa_prefixlen = address.prefix_length;
    header.ifa_index = static_cast<unsigned>(address.interface);
    request.put(IFA_LOCAL, address.address.bytes());
    return request.bytes();
}

ByteVec add_route_request(const dataplane::Route& route, int interface, std::uint32_t sequence) {
    Request request(RTM_NEWROUTE, kCreate, sequence);
    auto& header = request.header<rtmsg>();
    header.rtm_family = family_of(route.destination.address);
    header.rtm_dst_len = route.destination.length;
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_protocol = RTPROT_STATIC;
    header.rtm_type = route.blackhole ? RTN_BLACKHOLE : RTN_UNICAST;
    const bool on_link = !route.gateway && !route.blackhole && route.destination.address.is_v4();
    header.rtm_scope = on_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    request.put(RTA_DST, route.destination.address.bytes());
    if (route.gateway.family() == route.destination.address.family()) {
        request.put(RTA_GATEWAY, route.gateway.bytes());
    } else if (route.gateway) {
        const std::uint16_t family = family_of(route.gateway);
        ByteVec value(sizeof family);
        std::memcpy(value.data(), &family, sizeof family);
        value.insert(value.end(), route.gateway.bytes().begin(), route.gateway.bytes().end());
        request.put(RTA_VIA, value);
    }
    if (!route.blackhole) request.put_number(RTA_OIF, static_cast<std::uint32_t>(interface));
    if (route.metric != 0) request.put_number(RTA_PRIORITY, route.metric);
    return request.bytes();
}

ByteVec use_neighbour_request(const net::IpAddress& address, int interface, std::uint32_t sequence) {
    Request request(RTM_NEWNEIGH, NLM_F_CREATE, sequence);
    auto& header = request.header<ndmsg>();
    header.ndm_family = family_of(address);
    header.ndm_ifindex = interface;
    header.ndm_state = NUD_NONE;
    header.ndm_flags = NTF_USE;
    request.put(NDA_DST, address.bytes());
    return request.bytes();
}

ByteVec detach_xdp_request(int interface, std::uint32_t sequence) {
    Request request(RTM_SETLINK, NLM_F_ACK, sequence);
    request.header<ifinfomsg>().ifi_index = interface;
    nlattr* const xdp = request.nest(IFLA_XDP);
    request.put_number(IFLA_XDP_FD, static_cast<std::uint32_t>(-1));
    request.end(xdp);
    return request.bytes();
}

}  // namespace sluice::control
