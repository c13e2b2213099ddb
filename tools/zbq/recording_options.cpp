// SPDX-License-Identifier: MIT
//
// The command line of record, info and replay.
#include "recording_options.hpp"

#include "declarations.hpp"
#include "errors.hpp"
#include "help.hpp"
#include "identities.hpp"
#include "mcap/compression.hpp"
#include "quantities.hpp"
#include "units.hpp"

#include <charconv>
#include <cmath>
#include <set>
#include <unistd.h>

namespace zbq::tool {

namespace {

void add_record_files(CLI::App *record, record_options *options) {
    record
        ->add_option("-o,--output", options->output,
                     "the MCAP file; where there are several, -0001 and so on goes before .mcap")
        ->required()
        ->type_name("FILE");
    record->add_flag("--force", options->force, "replace files that are there");
    record
        ->add_option_function<std::string>(
            "--compression",
            [options](const std::string &text) {
                options->compression = text == "none" ? "" : text;
            },
            "of chunks: none (default), lz4 or zstd")
        ->type_name("NAME");
    record
        ->add_option("--encoding", options->encoding,
                     "what the payloads are, for other readers of the file, such as json or "
                     "protobuf (default application/octet-stream)")
        ->type_name("TEXT");
    add_size(record, "--chunk-size", &options->chunk_size,
             "bytes that are compressed, indexed and written together (default 1M)");
    add_time(record, "--sync", &options->sync,
             "of how much time a power cut may cost the messages, from 20ms on, as far as the disk "
             "keeps up; 0: the kernel decides (default 1s)");
    add_size(record, "--memory", &options->memory,
             "what may wait for the disk, or what --ring-buffer may hold (default 256M)");
}

void add_record_split(CLI::App *record, record_options *options) {
    CLI::Option *size = add_size(record, "--split-size", &options->split_size,
                                 "begin a new file when one has so many bytes");
    CLI::Option *time =
        add_time(record, "--split-time", &options->split_time, "begin a new file after so long");
    record
        ->add_option("--keep", options->keep,
                     "remove the oldest files of this recording, so that so many stay")
        ->type_name("N");
    add_time(record, "--ring-buffer", &options->ring_buffer,
             "be a flight recorder: keep the last so long in memory, and write that as a file on "
             "SIGUSR2 and when a publisher dies")
        ->excludes(size)
        ->excludes(time);
}

void add_record_reading(CLI::App *record, record_options *options) {
    record->add_flag("--lossless", options->lossless,
                     "hold the publisher back rather than miss messages; without it, observe");
    record
        ->add_option_function<std::string>(
            "--from",
            [options](const std::string &text) { options->from = parse_start("--from", text); },
            "where to start: as sub --from")
        ->type_name("START");
    record
        ->add_option_function<std::vector<std::string>>(
            "--publisher",
            [options](const std::vector<std::string> &texts) {
                for (const std::string &text : texts) {
                    options->publishers.push_back(parse_user("--publisher", text));
                }
            },
            "as sub --publisher; repeatable")
        ->type_name("USER")
        ->expected(1)
        ->take_all();
    record->add_flag("--wait", options->wait, "wait for publishers that are not there yet");
    record->add_flag("--again", options->again,
                     "when a publisher has ended, wait for the next one of its name; then a signal "
                     "alone ends the recording");
    record->add_flag("--quiet", options->quiet, "no summary at the end, no progress");
}

CLI::App *add_record(CLI::App *app, record_options *options) {
    CLI::App *record = app->add_subcommand("record", "write what is published to an MCAP file");
    record->add_option("NAME", options->names, "what is published; several go into one file")
        ->required();
    add_record_files(record, options);
    add_record_split(record, options);
    add_record_reading(record, options);
    record->footer(footer(record_help));
    return record;
}

CLI::App *add_info(CLI::App *app, info_options *options) {
    CLI::App *info = app->add_subcommand(
        "info", "say what an MCAP file has, what is missing, and whether it is whole");
    info->add_option("FILE", options->file, "of any program")->required();
    info->add_flag("--quick", options->quick,
                   "believe the file's summary, where it has one; without it all is read and "
                   "compared with its checksums");
    info->add_flag("--json", options->json, "for programs");
    info->add_option("--recover", options->recover,
                     "write all that can be read of it into this file, which is whole then")
        ->type_name("FILE");
    info->add_flag("--force", options->force, "replace a file that is there");
    info->footer(footer(info_help));
    return info;
}

double parse_rate(const std::string &text) {
    if (text == "max") {
        return 0;
    }
    std::string number = text;
    if (number.ends_with('x')) {
        number.pop_back();
    }
    double rate = 0;
    const auto [rest, error] = std::from_chars(number.data(), number.data() + number.size(), rate);
    if (error != std::errc() || rest != number.data() + number.size() || !std::isfinite(rate) ||
        rate < 1e-6 || rate > 1e6) {
        throw usage_error(
            fmt::format("--rate: '{}' is no pace; give a factor, such as 2x or 0.5, or max", text));
    }
    return rate;
}

CLI::App *add_replay(CLI::App *app, replay_options *options) {
    CLI::App *replay = app->add_subcommand("replay", "publish what an MCAP file has");
    replay->add_option("FILE", options->file, "of any program")->required();
    CLI::Option *rate =
        replay
            ->add_option_function<std::string>(
                "--rate", [options](const std::string &text) { options->rate = parse_rate(text); },
                "how many times as fast as it was, such as 2x or 0.5; max: as fast as it goes "
                "(default 1x)")
            ->type_name("R");
    replay
        ->add_flag("--step", options->step,
                   "a message for each line of standard input, until that ends")
        ->excludes(rate);
    replay->add_flag("--loop", options->loop, "begin again at the end, until a signal comes");
    add_time(replay, "--from", &options->from, "begin so long after the first message");
    replay
        ->add_option_function<std::string>(
            "--to",
            [options](const std::string &text) { options->to = parse_duration("--to", text); },
            "end so long after the first message")
        ->type_name("TIME");
    replay
        ->add_option_function<std::vector<std::string>>(
            "--topic",
            [options](const std::vector<std::string> &texts) {
                for (const std::string &text : texts) {
                    const size_t at = text.rfind('=');
                    options->topics.emplace_back(
                        text.substr(0, at), at == std::string::npos ? text : text.substr(at + 1));
                }
            },
            "publish this topic and no others, under NAME, or, without =NAME, under its own; "
            "repeatable")
        ->type_name("TOPIC=NAME")
        ->expected(1)
        ->take_all();
    replay
        ->add_option("--wait-for", options->wait_for, "start when each ring has so many consumers")
        ->type_name("N");
    add_size(replay, "--capacity", &options->capacity,
             "bytes in each ring (default as it was recorded, and 4M at least)");
    add_time(replay, "--stall-timeout", &options->stall_timeout,
             "how long a consumer may hold a ring back: as pub --stall-timeout");
    replay->add_flag("--quiet", options->quiet, "no summary at the end, no progress");
    replay->footer(footer(replay_help));
    return replay;
}

} // namespace

void add_recording(CLI::App *app, declarations *declared) {
    declared->recorder = add_record(app, &declared->record);
    declared->teller = add_info(app, &declared->info);
    declared->player = add_replay(app, &declared->replay);
}

void check_record(const record_options &options) {
    const std::set<std::string> names(options.names.begin(), options.names.end());
    if (names.size() != options.names.size()) {
        throw usage_error("NAME: one is there twice");
    }
    if (!mcap::knows_compression(options.compression)) {
        throw usage_error(fmt::format("--compression: '{}' is none that this build has; give none, "
                                      "lz4 or zstd",
                                      options.compression));
    }
    constexpr uint64_t largest_chunk = uint64_t{1} << 30U;
    if (options.chunk_size == 0 || options.chunk_size > largest_chunk) {
        throw usage_error(fmt::format("--chunk-size: {} is not from 1 to 1G", options.chunk_size));
    }
    if (options.sync != 0 && options.sync < 20 * millisecond) {
        throw usage_error("--sync: give 20ms or more, or 0");
    }
    if (options.keep != 0 && !options.has_many_files()) {
        throw usage_error("--keep: there is one file; give --split-size, --split-time or "
                          "--ring-buffer");
    }
    if (options.memory < options.chunk_size) {
        throw usage_error("--memory: there is no room for a chunk (see --chunk-size)");
    }
}

void check_replay(const replay_options &options) {
    if (options.to && *options.to < options.from) {
        throw usage_error("--to: it lies before --from");
    }
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    if (options.capacity % page != 0) {
        throw usage_error(fmt::format("--capacity: {} is not a multiple of the page size, {} bytes",
                                      options.capacity, page));
    }
    std::set<std::string> topics;
    std::set<std::string> names;
    for (const auto &[topic, name] : options.topics) {
        if (!topics.insert(topic).second || !names.insert(name).second) {
            throw usage_error(fmt::format("--topic: '{}' or '{}' is there twice", topic, name));
        }
    }
}

} // namespace zbq::tool
