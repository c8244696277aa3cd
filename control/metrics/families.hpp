// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "control/metrics/metrics_server.hpp"

namespace sluice::control {

// The metrics as Prometheus has them, sorted by name; every family has a help text. Names are "sluice_" and the
// counter's, with "_total" behind what only grows.
std::vector<prometheus::MetricFamily> make_families(const MetricsInput& input);

}  // namespace sluice::control
