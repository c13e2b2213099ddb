// SPDX-License-Identifier: MIT
//
// zbq ls: the rings that this user can reach.
#include "commands.hpp"
#include "errors.hpp"
#include "io.hpp"
#include "json.hpp"
#include "places.hpp"
#include "signals.hpp"
#include "survey.hpp"
#include "units.hpp"
#include "words.hpp"

#include <algorithm>
#include <map>
#include <poll.h>

namespace zbq::tool {

namespace {

// What was found at a name, and what was committed since in how long.
struct listed {
    standing how = standing::nobody;
    std::string why;
    zbq_ring_stats ring = {};
    std::optional<double> rate; // bytes a second
};

using listing = std::map<std::string, listed>;

listing find_all(uint64_t patience) {
    listing all;
    survey_all(listening_names(), patience, [&all](finding &&found) {
        if (found.how != standing::nobody) {
            listed &one = all[found.name];
            one.how = found.how;
            one.why = std::move(found.why);
            one.ring = found.account ? found.account->ring() : zbq_ring_stats();
        }
    });
    return all;
}

void pause_for(uint64_t nanoseconds) {
    const timespec time = {static_cast<time_t>(nanoseconds / second),
                           static_cast<long>(nanoseconds % second)};
    ppoll(nullptr, 0, &time, nullptr); // or until a signal comes
}

// Of the same ring as before.
void note_rate(listed *one, const zbq_ring_stats &now) {
    if (id_text(one->ring.ring_id) == id_text(now.ring_id) &&
        now.written_at > one->ring.written_at && now.head >= one->ring.head) {
        one->rate = static_cast<double>(now.head - one->ring.head) /
                    as_seconds(now.written_at - one->ring.written_at);
    }
    one->ring = now;
}

void measure_rates(listing *all, const ls_options &options) {
    std::vector<std::string> names;
    for (const auto &[name, one] : *all) {
        if (one.how == standing::answers) {
            names.push_back(name);
        }
    }
    if (names.empty() || options.interval == 0) {
        return;
    }
    pause_for(options.interval);
    survey_all(std::move(names), options.timeout, [all](finding &&found) {
        if (found.account) {
            note_rate(&(*all)[found.name], found.account->ring());
        }
    });
}

std::string as_table(const listing &all) {
    table rows(
        {{"NAME"}, {"PID", true}, {"TYPE"}, {"AGE", true}, {"READERS", true}, {"RATE", true}});
    std::string rest;
    for (const auto &[name, one] : all) {
        const zbq_ring_stats &ring = one.ring;
        if (one.how == standing::answers) {
            rows.add({printable(name), std::to_string(ring.pid), type_text(ring.payload_type),
                      duration_text(since(ring.created_at, ring.written_at)),
                      fmt::format("{}/{}", ring.consumers, ring.max_consumers),
                      rate_text(one.rate)});
        } else {
            rest += one.how == standing::silent ? fmt::format("{}: no answer\n", printable(name))
                                                : fmt::format("{}\n", printable(one.why));
        }
    }
    return rows.text() + rest;
}

std::string as_json(const listing &all) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const auto &[name, one] : all) {
        nlohmann::ordered_json entry = {{"name", name}};
        if (one.how == standing::answers) {
            entry["state"] = "answers";
            entry.update(to_json(one.ring));
            entry["bytes_per_second"] =
                one.rate ? nlohmann::ordered_json(*one.rate) : nlohmann::ordered_json();
        } else {
            entry["state"] = one.how == standing::silent ? "silent" : "refuses";
            entry["why"] = one.why;
        }
        list.push_back(std::move(entry));
    }
    return json_line(list);
}

} // namespace

int list_rings(const ls_options &options) {
    listing all = find_all(options.timeout);
    measure_rates(&all, options);
    if (stop_signal() != 0) {
        return status_when_stopped();
    }
    return status_after(write_output(options.json ? as_json(all) : as_table(all)));
}

} // namespace zbq::tool
