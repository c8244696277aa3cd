// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <vector>

namespace sluice::bench {

// A mean and its 95 % interval.
struct Interval {
    double mean = 1;
    double low = 0;
    double high = 0;
};

// Geometric mean of positive ratios, two at least, with Student's t over their logarithms.
inline Interval interval_of_ratios(const std::vector<double>& ratios) {
    // Two-sided 95 % for 1, 2, ... degrees of freedom; beyond the table the normal value is close enough.
    constexpr double kStudent[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                   2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                   2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
    const auto n = static_cast<double>(ratios.size());
    double sum = 0;
    double squares = 0;
    for (const double r : ratios) sum += std::log(r);
    const double mean = sum / n;
    for (const double r : ratios) squares += (std::log(r) - mean) * (std::log(r) - mean);
    const std::size_t degrees = ratios.size() - 1;
    const double t = degrees <= std::size(kStudent) ? kStudent[degrees - 1] : 1.96;
    const double half = t * std::sqrt(squares / (n - 1) / n);
    return {std::exp(mean), std::exp(mean - half), std::exp(mean + half)};
}

}  // namespace sluice::bench
