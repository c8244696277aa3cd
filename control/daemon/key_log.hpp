// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "control/config/config.hpp"
#include "lib/base/result.hpp"
#include "lib/ipsec/child_sa.hpp"

namespace sluice::control {

// Whether the configuration lets keys be written: an error that names the key where it does not (TRAPS 51).
Result<void> allow_key_log(const Config& config);

// The debug key log: one JSON object a line, as ike/README.md describes it. Whoever reads the file reads the traffic,
// so it is made with mode 0600, only by an explicit option, and only where the configuration allows it.
class KeyLog {
  public:
    static Result<std::unique_ptr<KeyLog>> open(const std::string& path);
    ~KeyLog();
    KeyLog(const KeyLog&) = delete;
    KeyLog& operator=(const KeyLog&) = delete;
    void write(std::string_view line);
    // Both halves of a manually keyed SA.
    void write(const ipsec::ChildSa& sa);

  private:
    explicit KeyLog(int fd) : fd_(fd) {}
    int fd_;
};

}  // namespace sluice::control
