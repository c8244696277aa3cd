// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/chart.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "apps/bench/format.hpp"

namespace sluice::bench {

namespace {

// Of a line chart, in user units: the drawing area and the room for labels around it.
constexpr double kWidth = 560;
constexpr double kHeight = 340;
constexpr double kLeft = 64;
constexpr double kRight = 110;
constexpr double kTop = 40;
constexpr double kBottom = 52;
constexpr double kInnerWidth = kWidth - kLeft - kRight;
constexpr double kInnerHeight = kHeight - kTop - kBottom;
constexpr double kLabelGap = 14;  // between two labels at the right
constexpr double kTickGap = 34;   // between two ticks of x

// The least 1, 2 or 5 times a power of ten that divides the range into at most five steps.
double nice_step(double range) {
    const double raw = std::max(range, 1e-9) / 5;
    const double power = std::pow(10, std::floor(std::log10(raw)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor * power >= raw * (1 - 1e-9)) return factor * power;
    }
    return 10 * power;
}

std::string number(double v) {
    if (v >= 10000 && std::fmod(v, 1000) == 0) return format("%.0fk", v / 1000);
    return v == std::floor(v) ? format("%.0f", v) : format("%.2g", v);
}

// Where values lie in the drawing.
class Scale {
  public:
    explicit Scale(const Chart& chart) : axis_(chart.x_axis) {
        for (const Series& s : chart.series) {
            for (const Point& p : s.points) {
                ticks_.insert(p.x);
                most_ = std::max(most_, p.y);
            }
        }
        step_ = nice_step(most_ * 1.05);
        most_ = std::max(step_, std::ceil(most_ * 1.05 / step_) * step_);
    }
    double x(double value) const {
        const double low = place(*ticks_.begin());
        const double high = place(*ticks_.rbegin());
        return kLeft + (high > low ? (place(value) - low) / (high - low) : 0.5) * kInnerWidth;
    }
    double y(double value) const { return kTop + (1 - value / most_) * kInnerHeight; }
    double step() const { return step_; }
    double most() const { return most_; }
    const std::set<double>& ticks() const { return ticks_; }

  private:
    double place(double v) const { return axis_ == Axis::logarithmic ? std::log(std::max(v, 1.0)) : v; }
    Axis axis_;
    std::set<double> ticks_;
    double most_ = 0;
    double step_ = 1;
};

std::string grid(const Chart& chart, const Scale& scale) {
    std::string out;
    for (double v = 0; v <= scale.most() * (1 + 1e-9); v += scale.step()) {
        out += format("<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", kLeft,
                      kLeft + kInnerWidth, scale.y(v), scale.y(v));
        out += format("<text class=\"tick\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">", kLeft - 8, scale.y(v) + 4) +
               number(v) + "</text>";
    }
    double last = -kTickGap;
    for (const double v : scale.ticks()) {
        const double x = scale.x(v);
        out += format("<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", x, x,
                      kTop + kInnerHeight, kTop + kInnerHeight + 5);
        if (x - last < kTickGap) continue;
        last = x;
        out +=
            format("<text class=\"tick\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">", x, kTop + kInnerHeight + 19) +
            number(v) + "</text>";
    }
    out += format("<text class=\"label\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">", kLeft + kInnerWidth / 2,
                  kHeight - 10) +
           escaped(chart.x_label) + "</text>";
    out += format("<text class=\"label\" text-anchor=\"middle\" transform=\"translate(16 %.1f) rotate(-90)\">",
                  kTop + kInnerHeight / 2) +
           escaped(chart.y_label) + "</text>";
    return out;
}

std::string line(const Series& s, const Scale& scale) {
    std::string path;
    std::string dots;
    for (const Point& p : s.points) {
        path += format("%s%.1f %.1f", path.empty() ? "M" : " L", scale.x(p.x), scale.y(p.y));
        dots += format("<circle class=\"dot c%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\"><title>", s.colour, scale.x(p.x),
                       scale.y(p.y), s.dashed ? 2 : 4) +
                escaped(s.name) + format(": %.1f at %g</title></circle>", p.y, p.x);
    }
    return format("<path class=\"line c%u%s\" d=\"", s.colour, s.dashed ? " dashed" : "") + path + "\"/>" + dots;
}

// Names at the right ends of the lines, moved apart where they would touch.
std::string names(const std::vector<Series>& series, const Scale& scale) {
    struct Label {
        double y;
        const Series* series;
    };
    std::vector<Label> labels;
    for (const Series& s : series) {
        if (!s.points.empty()) labels.push_back({scale.y(s.points.back().y), &s});
    }
    std::ranges::sort(labels, {}, &Label::y);
    for (std::size_t i = 1; i < labels.size(); ++i) labels[i].y = std::max(labels[i].y, labels[i - 1].y + kLabelGap);
    double most = kTop + kInnerHeight;
    for (std::size_t i = labels.size(); i-- > 0; most = labels[i].y - kLabelGap)
        labels[i].y = std::min(labels[i].y, most);
    std::string out;
    for (const Label& l : labels) {
        out += format("<text class=\"name n%u\" x=\"%.1f\" y=\"%.1f\">", l.series->colour, kLeft + kInnerWidth + 10,
                      l.y + 4) +
               escaped(l.series->name) + "</text>";
    }
    return out;
}

}  // namespace

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '&') {
            out += "&amp;";
        } else if (c == '<') {
            out += "&lt;";
        } else if (c == '>') {
            out += "&gt;";
        } else if (c == '"') {
            out += "&quot;";
        } else {
            out += c;
        }
    }
    return out;
}

std::string Chart::svg() const {
    const Scale scale(*this);
    std::string out = format("<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\">", kWidth, kHeight);
    out += format("<text class=\"title\" x=\"%.1f\" y=\"22\">", kLeft) + escaped(title) + "</text>";
    if (scale.ticks().empty()) return out + "</svg>";
    out += grid(*this, scale);
    for (const Series& s : series) out += line(s, scale);
    return out + names(series, scale) + "</svg>";
}

std::string bars_svg(const std::vector<Bar>& bars, const std::string& unit) {
    constexpr double kBarLeft = 300;
    constexpr double kBarWidth = 560;
    constexpr double kRow = 24;
    double most = 0;
    for (const Bar& b : bars) most = std::max({most, b.value, b.limit});
    std::string out = format("<svg class=\"bars\" viewBox=\"0 0 1160 %.0f\" role=\"img\">",
                             kRow * static_cast<double>(bars.size()) + 12);
    double y = 6;
    for (const Bar& b : bars) {
        const double value = b.value / most * kBarWidth;
        const double limit = std::min(b.limit, b.value) / most * kBarWidth;
        out += format("<text class=\"bar-name\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">", kBarLeft - 10, y + 15) +
               escaped(b.name) + "</text>";
        out +=
            format("<rect class=\"rest\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"16\"/>", kBarLeft, y + 2, value);
        out += format("<rect class=\"limit\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"16\"/>", kBarLeft, y + 2,
                      limit);
        out += format("<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%.0f %s", kBarLeft + value + 8, y + 15, b.value,
                      escaped(unit).c_str());
        out += b.limit > 0 ? format(" = %.2f times the limit</text>", b.value / b.limit) : "</text>";
        y += kRow;
    }
    return out + "</svg>";
}

}  // namespace sluice::bench
