// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/report.hpp"

#include <catch2/catch.hpp>

#include "apps/bench/chart.hpp"
#include "apps/bench/html.hpp"
#include "apps/bench/interval.hpp"
#include "apps/bench/lists.hpp"
#include "apps/bench/statistics.hpp"

using namespace sluice;
using namespace sluice::bench;

TEST_CASE("lists of a command line: elements, numbers and words; what is empty or unknown is named") {
    CHECK(*split_list("a,b") == std::vector<std::string>{"a", "b"});
    CHECK_FALSE(split_list(""));
    CHECK_FALSE(split_list("a,"));
    CHECK_FALSE(split_list(",a"));
    CHECK(*number_list("1,64,1400") == std::vector<std::uint32_t>{1, 64, 1400});
    for (const char* bad : {"x", "-1", "1x", "4294967296", "1 "}) CHECK_FALSE(number_list(bad));
    const std::vector<std::pair<std::string, int>> known{{"out", 1}, {"in", 2}};
    CHECK(*word_list("in,out", known) == std::vector<int>{2, 1});
    CHECK(word_list("up", known).error().text == "\"up\" is none of out, in");
}

TEST_CASE("quantiles are interpolated, and an outlier moves neither median nor spread") {
    CHECK(median({3, 1, 2}) == 2);
    CHECK(median({1, 2, 3, 4}) == 2.5);
    CHECK(spread({1, 2, 3, 4, 5}) == 2);
    CHECK(median({1, 2, 3, 4, 1e9}) == 3);
    CHECK(median({}) == 0);
}

TEST_CASE("the interval of ratios is Student's: known values") {
    // Logarithms -0.1, 0, 0.1: deviation 0.1, t(2) = 4.303.
    const Interval i = interval_of_ratios({std::exp(-0.1), 1.0, std::exp(0.1)});
    CHECK(i.mean == Approx(1));
    CHECK(std::log(i.high) == Approx(0.24843).epsilon(0.001));
    CHECK(std::log(i.low) == Approx(-0.24843).epsilon(0.001));
}

TEST_CASE("text goes into JSON and HTML escaped") {
    CHECK(json_string("a\"b\\c\n") == "\"a\\\"b\\\\c\\u000a\"");
    CHECK(escaped("a<b>&\"") == "a&lt;b&gt;&amp;&quot;");
    CHECK(to_html({{"options", "<script>"}}, {}).find("<script>") == std::string::npos);
}

TEST_CASE("a chart of one point, or of none, is drawn all the same") {
    Chart chart{.title = "t", .x_label = "x", .y_label = "y", .x_axis = Axis::linear, .series = {}};
    CHECK(chart.svg().ends_with("</svg>"));
    chart.series = {{.name = "s", .points = {{64, 100}}, .colour = 0, .dashed = false}};
    CHECK(chart.svg().find("nan") == std::string::npos);
}
