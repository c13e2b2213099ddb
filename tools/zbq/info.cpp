// SPDX-License-Identifier: MIT
//
// zbq info: what a recording has, and whether it is whole.
#include "commands.hpp"
#include "errors.hpp"
#include "io.hpp"
#include "mcap/recover.hpp"
#include "recording.hpp"
#include "units.hpp"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

namespace zbq::tool {

namespace {

using nlohmann::ordered_json;

struct found_gap {
    std::string topic;
    mcap::timestamp time = 0;
    event what;
};

std::string format_time(mcap::timestamp time) {
    const auto seconds = static_cast<time_t>(time / second);
    tm parts = {};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text = {};
    strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
    return fmt::format("{}.{:06} UTC", text.data(), time % second / microsecond);
}

// Of the channels in which this tool notes them, nothing else is read.
std::vector<found_gap> find_gaps(mcap::source *file, const mcap::contents &what) {
    mcap::selection wanted;
    wanted.channels.emplace();
    for (const auto &[id, channel] : what.channels) {
        if (channel.metadata.contains("zbq.format") && channel.topic.ends_with(gaps_suffix)) {
            wanted.channels->insert(id);
        }
    }
    std::vector<found_gap> gaps;
    if (wanted.channels->empty()) {
        return gaps;
    }
    mcap::message_reader messages(file, what, wanted);
    for (bool more = true; more;) {
        try {
            const mcap::message *next = messages.next();
            more = next != nullptr;
            const auto noted = more ? to_event(next->data.view) : std::nullopt;
            if (noted) {
                std::string topic = what.channels.at(next->channel_id).topic;
                topic.resize(topic.size() - gaps_suffix.size());
                gaps.push_back({topic, next->log_time, *noted});
            }
        } catch (const mcap::damage &) { // which was found before
            continue;
        }
    }
    return gaps;
}

uint64_t messages_of(const mcap::contents &what, uint16_t channel) {
    const auto found = what.statistics.channel_message_counts.find(channel);
    return found != what.statistics.channel_message_counts.end() ? found->second : 0;
}

double seconds_of(const mcap::contents &what) {
    return as_seconds(what.statistics.message_end_time - what.statistics.message_start_time);
}

std::string describe(const found_gap &gap) {
    if (gap.what.kind == event_kind::end) {
        return fmt::format("{} ended: {}", gap.topic, gap.what.cause);
    }
    return fmt::format("{} lacks {} bytes{} before offset {}: {}", gap.topic, gap.what.bytes,
                       gap.what.at_least ? " or more" : "", gap.what.offset, gap.what.cause);
}

std::string to_text(const info_options &options, uint64_t size, const mcap::contents &what,
                    const std::vector<found_gap> &gaps) {
    const mcap::statistics &total = what.statistics;
    const double time = seconds_of(what);
    std::string text =
        fmt::format("{}: {}{}\n", options.file, format_bytes(static_cast<double>(size)),
                    !what.damage.empty() ? ", damaged"
                    : what.by_summary    ? ", by its summary"
                                         : ", whole");
    text += fmt::format("profile '{}', by '{}'\n", what.header.profile, what.header.library);
    text += fmt::format("{} messages, {} chunks, {} attachments, {} records of metadata\n",
                        total.message_count, total.chunk_count, total.attachment_count,
                        total.metadata_count);
    if (total.message_count != 0) {
        text += fmt::format("from {} to {}: {:.6f} s\n", format_time(total.message_start_time),
                            format_time(total.message_end_time), time);
    }
    for (const auto &[id, channel] : what.channels) {
        const uint64_t count = messages_of(what, id);
        const double rate = time > 0 ? static_cast<double>(count) / time : 0;
        text += fmt::format("channel {:5} {:12} messages {:12.1f}/s  {} ({})\n", id, count, rate,
                            channel.topic, channel.message_encoding);
    }
    for (const mcap::attachment_index &each : what.attachments) {
        text += fmt::format("attachment {} bytes  {}\n", each.data_size, each.name);
    }
    for (const found_gap &gap : gaps) {
        text += fmt::format("{} at {}\n", describe(gap), format_time(gap.time));
    }
    for (const std::string &each : what.damage) {
        text += fmt::format("damage: {}\n", each);
    }
    return text;
}

// Bytes of any kind, which JSON cannot have, are replaced.
std::string to_json(const info_options &options, uint64_t size, const mcap::contents &what,
                    const std::vector<found_gap> &gaps) {
    const mcap::statistics &total = what.statistics;
    const double time = seconds_of(what);
    ordered_json channels = ordered_json::array();
    for (const auto &[id, channel] : what.channels) {
        const uint64_t count = messages_of(what, id);
        channels.push_back({{"id", id},
                            {"topic", channel.topic},
                            {"encoding", channel.message_encoding},
                            {"metadata", channel.metadata},
                            {"messages", count},
                            {"rate", time > 0 ? static_cast<double>(count) / time : 0}});
    }
    ordered_json attachments = ordered_json::array();
    for (const mcap::attachment_index &each : what.attachments) {
        attachments.push_back({{"name", each.name},
                               {"media_type", each.media_type},
                               {"bytes", each.data_size},
                               {"time", each.log_time}});
    }
    ordered_json holes = ordered_json::array();
    ordered_json ends = ordered_json::array();
    for (const found_gap &gap : gaps) {
        ordered_json one = {{"topic", gap.topic},
                            {"time", gap.time},
                            {"cause", gap.what.cause},
                            {"offset", gap.what.offset}};
        if (gap.what.kind == event_kind::gap) {
            one["bytes"] = gap.what.bytes;
            one["at_least"] = gap.what.at_least;
            holes.push_back(one);
        } else {
            ends.push_back(one);
        }
    }
    const ordered_json all = {{"file", options.file},
                              {"bytes", size},
                              {"whole", what.damage.empty()},
                              {"by_summary", what.by_summary},
                              {"profile", what.header.profile},
                              {"library", what.header.library},
                              {"messages", total.message_count},
                              {"chunks", total.chunk_count},
                              {"start", total.message_start_time},
                              {"end", total.message_end_time},
                              {"channels", channels},
                              {"attachments", attachments},
                              {"gaps", holes},
                              {"ends", ends},
                              {"damage", what.damage}};
    return all.dump(2, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

void write_recovered(mcap::source *from, const info_options &options) {
    mcap::file_sink to(options.recover, options.force);
    mcap::writer_options how;
    how.library = fmt::format("zbq {}.{}.{} --recover", ZBQ_VERSION_MAJOR, ZBQ_VERSION_MINOR,
                              ZBQ_VERSION_PATCH);
    how.parts.definitions_in_chunks = false;
    const mcap::recovered result = recover(from, &to, how);
    to.sync();
    to.close();
    say_at_last(fmt::format("{}: {} messages, {} attachments; {}", options.recover,
                            result.there.message_count, result.there.attachment_count,
                            result.damage.empty() ? "nothing was missing"
                                                  : "what is missing is told above"));
}

} // namespace

int info(const info_options &options) {
    try {
        mcap::file_source file(options.file);
        const mcap::contents what = read_contents(file, options.quick ? mcap::thoroughness::summary
                                                                      : mcap::thoroughness::all);
        const std::vector<found_gap> gaps = find_gaps(&file, what);
        const std::string text = options.json ? to_json(options, file.size(), what, gaps)
                                              : to_text(options, file.size(), what, gaps);
        const write_result written = write_output(text);
        if (written != write_result::done) {
            return status_after(written);
        }
        if (!options.recover.empty()) {
            write_recovered(&file, options);
        }
        return what.damage.empty() ? exit_ok : exit_damaged;
    } catch (const mcap::damage &error) {
        throw failure(fmt::format("{}: {}", options.file, error.what()));
    } catch (const mcap::io_error &error) {
        throw failure(error.what() + limit_text(error.code().value()));
    }
}

} // namespace zbq::tool
