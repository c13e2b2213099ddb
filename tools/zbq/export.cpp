// SPDX-License-Identifier: MIT
//
// zbq export: statistics for Prometheus.
#include "commands.hpp"
#include "errors.hpp"
#include "exposition.hpp"
#include "io.hpp"
#include "places.hpp"
#include "signals.hpp"
#include "survey.hpp"
#include "units.hpp"
#include "web.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <poll.h>

namespace zbq::tool {

namespace {

std::string scrape(uint64_t timeout) {
    std::vector<finding> found;
    survey_all(listening_names(), timeout,
               [&found](finding &&one) { found.push_back(std::move(one)); });
    std::ranges::sort(found, {}, &finding::name);
    return exposition(found);
}

// Whoever reads it has the old one or the new one, whole.
void replace_file(const std::string &path, const std::string &text) {
    const std::string fresh = path + ".new";
    {
        std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
        file << text;
        if (!file.flush()) {
            throw system_failure("writing " + fresh);
        }
    }
    if (std::rename(fresh.c_str(), path.c_str()) != 0) {
        throw system_failure("renaming " + fresh);
    }
}

int keep_file(const export_options &options) {
    do {
        const std::string text = scrape(options.timeout);
        if (stop_signal() != 0) {
            return status_when_stopped();
        }
        replace_file(options.textfile, text);
        const timespec time = {static_cast<time_t>(options.interval / second),
                               static_cast<long>(options.interval % second)};
        ppoll(nullptr, 0, &time, nullptr); // or until a signal comes
    } while (options.interval != 0 && stop_signal() == 0);
    return stop_signal() != 0 ? status_when_stopped() : exit_ok;
}

} // namespace

int export_statistics(const export_options &options) {
    if (!options.textfile.empty()) {
        return keep_file(options);
    }
    serve_metrics(
        options.host, options.port, [&options] { return scrape(options.timeout); },
        [&options](int port) {
            say_at_last(fmt::format("http://{}:{}/metrics", options.host, port));
        });
    return status_when_stopped();
}

} // namespace zbq::tool
