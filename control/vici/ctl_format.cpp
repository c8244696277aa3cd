// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "control/vici/ctl.hpp"

namespace sluice::control::vici {
namespace {

std::string text(const Message& m, std::string_view key, std::string_view fallback = "?") {
    return std::string(m.get(key, fallback));
}

std::string joined(const Message& m, std::string_view key, std::string_view separator) {
    std::string out;
    if (const List* items = m.find_list(key)) {
        for (const std::string& item : *items) out += (out.empty() ? "" : std::string(separator)) + item;
    }
    return out;
}

// "prefix" and the value where the key is there, nothing otherwise.
std::string optional(const Message& m, std::string_view key, const std::string& prefix,
                     const std::string& suffix = {}) {
    const std::string* value = m.find(key);
    return value == nullptr ? std::string{} : prefix + *value + suffix;
}

std::string algorithms(const Message& m) {
    std::string out = text(m, "encr-alg", "") + optional(m, "encr-keysize", "-");
    for (const char* key : {"integ-alg", "prf-alg", "dh-group"}) out += optional(m, key, out.empty() ? "" : "/");
    return out + (m.find("esn") != nullptr ? "/ESN" : "");
}

std::string padded(std::string value, std::size_t width) {
    if (value.size() < width) value.insert(0, width - value.size(), ' ');
    return value;
}

std::string half(const Message& child, const std::string& direction, const char* label) {
    return "    " + std::string(label) + " " + text(child, "spi-" + direction) + ", " +
           padded(text(child, "bytes-" + direction), 6) + " bytes, " + padded(text(child, "packets-" + direction), 5) +
           " packets" + optional(child, "use-" + direction, ", ", "s ago") + "\n";
}

std::string format_child(const Message& child) {
    std::string out = "  " + text(child, "name") + ": #" + text(child, "uniqueid") + ", reqid " + text(child, "reqid") +
                      ", " + text(child, "state") + ", " + text(child, "mode") +
                      (child.find("encap") != nullptr ? "-in-UDP" : "") + ", " + text(child, "protocol") + ":" +
                      algorithms(child) + "\n";
    out += "    installed " + text(child, "install-time") + "s ago" +
           optional(child, "rekey-time", ", rekeying in ", "s") + optional(child, "life-time", ", expires in ", "s") +
           "\n";
    out += half(child, "in", "in ") + half(child, "out", "out");
    out += "    local  " + joined(child, "local-ts", " ") + "\n";
    return out + "    remote " + joined(child, "remote-ts", " ") + "\n";
}

std::string format_end(const Message& ike, const std::string& end) {
    return "'" + text(ike, end + "-id") + "' @ " + text(ike, end + "-host") + "[" + text(ike, end + "-port") + "]" +
           (ike.find("nat-" + end) != nullptr ? " behind NAT" : "") + "\n";
}

std::string format_ike(const std::string& name, const Message& ike) {
    const bool initiator = ike.get("initiator") == "yes";
    std::string out = name + ": #" + text(ike, "uniqueid") + ", " + text(ike, "state") + ", IKEv" +
                      text(ike, "version") + ", " + text(ike, "initiator-spi") + "_i" + (initiator ? "*" : "") + " " +
                      text(ike, "responder-spi") + "_r" + (initiator ? "" : "*") + "\n";
    out += "  local  " + format_end(ike, "local") + "  remote " + format_end(ike, "remote");
    if (ike.find("encr-alg") != nullptr) out += "  " + algorithms(ike) + "\n";
    if (ike.find("established") != nullptr) {
        out += "  established " + text(ike, "established") + "s ago" +
               optional(ike, "rekey-time", ", rekeying in ", "s") +
               optional(ike, "reauth-time", ", authenticating anew in ", "s") + "\n";
    }
    return out;
}

std::string format_static(const Message& ike) {
    return "static: manual keys\n  local  " + text(ike, "local-host") + "\n  remote " + text(ike, "remote-host") + "\n";
}

std::string interval(const Message& m, std::string_view key, const char* none, const std::string& some) {
    const std::string value(m.get(key, "0"));
    return value == "0" ? std::string(none) : some + value + "s";
}

std::string format_auth(const std::string& side, const Message& auth) {
    return "  " + side + " " + text(auth, "class", "unspecified") + " authentication:\n" +
           optional(auth, "id", "    id: ", "\n");
}

std::string format_child_config(const std::string& name, const Message& child, const Message& conn) {
    std::string out = "  " + name + ": " + text(child, "mode") + ", " +
                      interval(child, "rekey_time", "no rekeying", "rekeying every ");
    const bool shunt = child.get("mode") == "PASS" || child.get("mode") == "DROP";
    if (!shunt && conn.find("dpd_delay") != nullptr) out += ", dpd action is " + text(child, "dpd_action");
    out += "\n    local:  " + joined(child, "local-ts", " ") + "\n";
    return out + "    remote: " + joined(child, "remote-ts", " ") + "\n";
}

}  // namespace

std::string format_sa(const Message& event) {
    std::string out;
    for (const Element& element : event.elements()) {
        const auto* ike = std::get_if<Message>(&element.value);
        if (ike == nullptr) continue;
        out += ike->get("state") == "STATIC" ? format_static(*ike) : format_ike(element.name, *ike);
        const Message* children = ike->find_section("child-sas");
        if (children == nullptr) continue;
        for (const Element& child : children->elements()) {
            if (const auto* section = std::get_if<Message>(&child.value)) out += format_child(*section);
        }
    }
    return out;
}

std::string format_conn(const Message& event) {
    std::string out;
    for (const Element& element : event.elements()) {
        const auto* conn = std::get_if<Message>(&element.value);
        if (conn == nullptr) continue;
        out += element.name + ": " + text(*conn, "version") + ", " +
               interval(*conn, "reauth_time", "no reauthentication", "reauthentication every ") + ", " +
               interval(*conn, "rekey_time", "no rekeying", "rekeying every ") +
               optional(*conn, "dpd_delay", ", dpd delay ", "s") + "\n";
        out += "  local:  " + joined(*conn, "local_addrs", " ") + "\n  remote: " + joined(*conn, "remote_addrs", " ") +
               "\n";
        for (const Element& part : conn->elements()) {
            const auto* section = std::get_if<Message>(&part.value);
            if (section == nullptr) continue;
            if (part.name.rfind("local", 0) == 0) out += format_auth("local", *section);
            if (part.name.rfind("remote", 0) == 0) out += format_auth("remote", *section);
            if (part.name != "children") continue;
            for (const Element& child : section->elements()) {
                if (const auto* own = std::get_if<Message>(&child.value))
                    out += format_child_config(child.name, *own, *conn);
            }
        }
    }
    return out;
}

std::string format_stats(const Message& answer) {
    static const Message kNone;
    const auto section = [&](const char* name) -> const Message& {
        const Message* found = answer.find_section(name);
        return found != nullptr ? *found : kNone;
    };
    const Message& workers = section("workers");
    return "uptime: " + text(section("uptime"), "running") + ", since " + text(section("uptime"), "since") + "\n" +
           "workers: " + text(workers, "total") + " total, " + text(workers, "idle") + " idle\n" +
           "timers scheduled: " + text(answer, "scheduled") + "\n" + "IKE_SAs: " + text(section("ikesas"), "total") +
           " total, " + text(section("ikesas"), "half-open") + " half-open\n";
}

std::string format_version(const Message& answer) {
    return text(answer, "daemon") + " " + text(answer, "version") + " (" + text(answer, "sysname") + ", " +
           text(answer, "release") + ", " + text(answer, "machine") + ")\n";
}

}  // namespace sluice::control::vici
