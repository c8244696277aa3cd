// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace sluice::bench {

struct Point {
    double x = 0;
    double y = 0;
};

// A line of a chart, its points from left to right. dashed: the limit that belongs to the line of the same colour.
struct Series {
    std::string name;
    std::vector<Point> points;
    unsigned colour = 0;  // index into the page's palette
    bool dashed = false;
};

enum class Axis { linear, logarithmic };

// A line chart as an <svg> element; colours and fonts are the page's classes. Its x ticks are the points' own values, y
// begins at zero.
struct Chart {
    std::string title;
    std::string x_label;
    std::string y_label;
    Axis x_axis = Axis::linear;
    std::vector<Series> series;
    std::string svg() const;
};

// One horizontal bar: a part of it is the limit.
struct Bar {
    std::string name;
    double value = 0;
    double limit = 0;
};
// Bars below each other as an <svg> element, each with value, limit and their ratio behind it.
std::string bars_svg(const std::vector<Bar>& bars, const std::string& unit);

// Text as it may stand in HTML and SVG.
std::string escaped(const std::string& text);

}  // namespace sluice::bench
