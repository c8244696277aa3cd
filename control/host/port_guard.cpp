// SPDX-License-Identifier: Apache-2.0
#include "control/host/port_guard.hpp"

#include <algorithm>
#include <sstream>

#include "control/host/child_process.hpp"
#include "lib/base/bytes.hpp"

namespace sluice::control {
namespace {

constexpr std::chrono::milliseconds kLimit{5000};

bool is_plain(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) out += is_plain(c) ? std::string(1, c) : "_" + to_hex(as_bytes(std::string_view(&c, 1)));
    return out;
}

// Two underscores in a row are in no escaped text, so no prefix is the beginning of another's tables.
std::string table_start(const std::string& prefix) { return "sluice_" + escaped(prefix) + "__"; }

Result<std::vector<std::string>> present_tables(const std::string& prefix) {
    const auto listed = run_program({"nft", "list", "tables", "netdev"}, "", kLimit);
    if (!listed) return listed.error();
    std::vector<std::string> tables;
    std::istringstream lines(*listed);
    std::string word;
    std::string family;
    std::string name;
    while (lines >> word >> family >> name)
        if (word == "table" && name.starts_with(table_start(prefix))) tables.push_back(name);
    return tables;
}

Result<void> run_script(const std::string& script) {
    if (script.empty()) return {};
    const auto done = run_program({"nft", "-f", "-"}, script, kLimit);
    if (!done) return fail(done.error().code, "port guard: " + done.error().text);
    return {};
}

}  // namespace

std::string guard_table(const std::string& prefix, const std::string& device) {
    return table_start(prefix) + escaped(device);
}

std::string guard_script(const std::string& prefix, const std::string& device) {
    const std::string table = guard_table(prefix, device);
    return "add table netdev " + table + "\ndelete table netdev " + table + "\nadd table netdev " + table +
           "\nadd chain netdev " + table + " ingress { type filter hook ingress device \"" + device +
           "\" priority -500; policy drop; }\n";
}

Result<void> install_guards(const std::string& prefix, const std::vector<std::string>& devices) {
    const auto present = present_tables(prefix);
    if (!present) return present.error();
    std::string script;
    std::vector<std::string> wanted;
    for (const std::string& device : devices) {
        if (device.find_first_of("\"\\\n;{}") != std::string::npos)
            return fail(ErrorCode::invalid, "port guard: \"" + device + "\" is not a name for an interface");
        wanted.push_back(guard_table(prefix, device));
        script += guard_script(prefix, device);
    }
    for (const std::string& table : *present)
        if (std::find(wanted.begin(), wanted.end(), table) == wanted.end())
            script += "delete table netdev " + table + "\n";
    return run_script(script);
}

Result<void> remove_guards(const std::string& prefix) {
    const auto present = present_tables(prefix);
    if (!present) return present.error();
    std::string script;
    for (const std::string& table : *present) script += "delete table netdev " + table + "\n";
    return run_script(script);
}

}  // namespace sluice::control
