// SPDX-License-Identifier: Apache-2.0
// Any text is a configuration or has a finding that says why not, and the findings stand in the order of the file.
#include <algorithm>
#include <cstdlib>

#include "control/config/config.hpp"
#include "lib/base/bytes.hpp"

using namespace sluice;
using namespace sluice::control;

namespace {

void check(bool ok) {
    if (!ok) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Checked checked = check_config_text(as_text({data, size}), "f");
    const auto& list = checked.diagnostics;
    const bool failed = std::any_of(list.begin(), list.end(),
                                    [](const Diagnostic& d) { return d.severity == Diagnostic::Severity::error; });
    check(failed != checked.ok());
    check(std::is_sorted(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.line < b.line; }));
    for (const Diagnostic& d : list) check(!d.to_string().empty() && !d.text.empty());
    return 0;
}
