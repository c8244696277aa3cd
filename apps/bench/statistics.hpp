// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace sluice::bench {

// The value below which this part (0 to 1) of the samples lies, interpolated; 0 of nothing.
inline double quantile(std::vector<double> samples, double part) {
    if (samples.empty()) return 0;
    std::ranges::sort(samples);
    const double at = part * static_cast<double>(samples.size() - 1);
    const auto low = static_cast<std::size_t>(at);
    const std::size_t high = std::min(low + 1, samples.size() - 1);
    return samples[low] + (samples[high] - samples[low]) * (at - std::floor(at));
}
inline double median(const std::vector<double>& samples) { return quantile(samples, 0.5); }
// Interquartile range: what the middle half of the samples spans.
inline double spread(const std::vector<double>& samples) { return quantile(samples, 0.75) - quantile(samples, 0.25); }

}  // namespace sluice::bench
