// SPDX-License-Identifier: MIT
#include "declarations.hpp"
#include "errors.hpp"
#include "help.hpp"
#include "identities.hpp"
#include "quantities.hpp"
#include "units.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <sstream>
#include <tuple>
#include <unistd.h>

namespace zbq::tool {

namespace {

constexpr double highest_rate = 1e9;

void add_pub_framing(CLI::App *pub, pub_options *options) {
    CLI::Option *lines = pub->add_flag_callback(
        "--lines", [options] { options->framing = input_framing::lines; },
        "a message is a line, with its newline (default)");
    CLI::Option *chunks = pub->add_option_function<std::string>(
        "--chunks",
        [options](const std::string &text) {
            options->framing = input_framing::chunks;
            options->chunk_size = parse_size("--chunks", text);
        },
        "a message is this many bytes, the last one fewer");
    CLI::Option *prefixed = pub->add_flag_callback(
        "--length-prefixed", [options] { options->framing = input_framing::length_prefixed; },
        "a message is its length, as 32 bits little-endian, and so many bytes");
    chunks->type_name("SIZE")->excludes(lines);
    prefixed->excludes(lines)->excludes(chunks);
}

void add_pub_ring(CLI::App *pub, pub_options *options) {
    pub->add_option_function<std::string>(
           "--capacity",
           [options](const std::string &text) {
               options->capacity = parse_size("--capacity", text);
           },
           "bytes in the ring, such as 64K, 1M or 1G (default 4M; 64M where some processors share "
           "no cache)")
        ->type_name("SIZE");
    pub->add_option_function<std::string>(
           "--stall-timeout",
           [options](const std::string &text) {
               options->stall_timeout = parse_duration("--stall-timeout", text);
           },
           "how long a consumer may hold the ring back, such as 500ms or 2s; 0: for ever "
           "(default 5s)")
        ->type_name("TIME");
    pub->add_option("--max-consumers", options->max_consumers,
                    "how many at one time, from 1 to 65536 (default 64)")
        ->type_name("N")
        ->check(CLI::Range(1U, 65536U).description(""));
}

// An option that can be repeated, for what `parse` makes of each of its values.
template <typename Id>
void add_identities(CLI::App *command, const std::string &option, const std::string &type,
                    std::vector<Id> *ids, Id (*parse)(std::string_view, const std::string &),
                    const std::string &description) {
    command
        ->add_option_function<std::vector<std::string>>(
            option,
            [=](const std::vector<std::string> &texts) {
                for (const std::string &text : texts) {
                    ids->push_back(parse(option, text));
                }
            },
            description)
        ->type_name(type)
        ->expected(1)
        ->take_all();
}

void add_pub_retained(CLI::App *pub, pub_options *options) {
    pub->add_option_function<std::vector<std::string>>(
           "--retain",
           [options](const std::vector<std::string> &texts) {
               for (const std::string &text : texts) {
                   options->retained.push_back(parse_retained("--retain", text));
               }
           },
           "retain the bytes of this file under this number, for everyone who joins to have before "
           "the first message (sub --retained); repeatable")
        ->type_name("KEY=FILE")
        ->expected(1)
        ->take_all();
}

void add_pub_access(CLI::App *pub, pub_options *options) {
    add_identities(pub, "--user", "USER", &options->users, parse_user,
                   "this user may join, too; a name or a number, repeatable");
    add_identities(pub, "--group", "GROUP", &options->groups, parse_group,
                   "and whoever is in this group; repeatable");
    add_identities(pub, "--observer", "USER", &options->observers, parse_user,
                   "this user may observe (sub --follow, sub --newest) and no more; repeatable");
    add_identities(pub, "--observer-group", "GROUP", &options->observer_groups, parse_group,
                   "and whoever is in this group; repeatable");
}

void add_pub_dial(CLI::App *pub, pub_options *options) {
    CLI::Option *dial =
        pub->add_flag("--dial", options->dial,
                      "NAME is a collector's (zbq collect): dial in there, and start when it is "
                      "there; nobody else can join");
    for (const char *other :
         {"--user", "--group", "--observer", "--observer-group", "--wait-for"}) {
        dial->excludes(pub->get_option(other));
    }
    pub->add_option("--source", options->source,
                    "what the collector calls this: 24 bytes at most (default zbq)")
        ->type_name("TEXT")
        ->needs(dial);
}

CLI::App *add_pub(CLI::App *app, pub_options *options) {
    CLI::App *pub = app->add_subcommand("pub", "publish standard input, or a file");
    pub->add_option("NAME", options->name, "what subscribers ask for")->required();
    pub->add_option("--input", options->input, "read this instead of standard input")
        ->type_name("FILE");
    add_pub_framing(pub, options);
    add_pub_ring(pub, options);
    pub->add_option("--wait-for", options->wait_for, "start when there are so many consumers")
        ->type_name("N");
    pub->add_option("--fd", options->files,
                    "send an open descriptor of this file, for reading, with the first message; "
                    "repeatable")
        ->type_name("FILE")
        ->expected(1)
        ->take_all();
    add_pub_retained(pub, options);
    pub->add_option("--rate", options->rate,
                    "messages per second; what a pause has cost is not made up for")
        ->type_name("R");
    add_pub_access(pub, options);
    add_pub_dial(pub, options);
    pub->add_flag("--quiet", options->quiet, "no summary at the end, no progress");
    pub->footer(footer(pub_help));
    return pub;
}

void add_sub_output(CLI::App *sub, sub_options *options) {
    CLI::Option *raw = sub->add_flag_callback(
        "--raw", [options] { options->framing = output_framing::raw; },
        "write payloads as they are (default)");
    CLI::Option *lines = sub->add_flag_callback(
        "--lines", [options] { options->framing = output_framing::lines; },
        "add a newline to a payload that does not end in one");
    CLI::Option *prefixed = sub->add_flag_callback(
        "--length-prefixed", [options] { options->framing = output_framing::length_prefixed; },
        "write the length, as 32 bits little-endian, before each payload");
    CLI::Option *keys = sub->add_flag(
        "--keys", options->keys,
        "before each message the key that it is retained under, 0 for all others: with --lines as "
        "a number and a tab, with --length-prefixed as 16 bits little-endian");
    CLI::Option *count = sub->add_flag("--count", options->count,
                                       "write no messages, but how many there were at the end");
    CLI::Option *sha256 = sub->add_flag("--sha256", options->sha256,
                                        "write no messages, but the SHA-256 of all payloads");
    CLI::Option *quiet = sub->add_flag("--quiet", options->quiet, "write no messages");
    lines->excludes(raw);
    prefixed->excludes(raw)->excludes(lines);
    keys->excludes(raw);
    for (CLI::Option *framing : {raw, lines, prefixed, keys}) {
        framing->excludes(count)->excludes(sha256)->excludes(quiet);
    }
}

void add_sub_flow(CLI::App *sub, sub_options *options) {
    CLI::Option *follow = sub->add_flag_callback(
        "--follow", [options] { options->flow = flow::follow; },
        "observe: never hold the publisher back, and miss what it overwrites meanwhile, which "
        "standard error tells; collects no descriptors");
    sub->add_flag_callback(
           "--newest", [options] { options->flow = flow::newest; },
           "observe, and skip what is older than the newest message at each look")
        ->excludes(follow);
    sub->add_option_function<std::string>(
           "--from",
           [options](const std::string &text) { options->from = parse_start("--from", text); },
           "where to start: head, with what comes next (default); oldest, with what the ring still "
           "has; -SIZE, with so much of that at most; or an offset in the stream")
        ->type_name("START");
    sub->add_flag("--retained", options->retained,
                  "read what the publisher retains (pub --retain) before its messages; what it "
                  "retains later is a message among others");
}

CLI::App *add_sub(CLI::App *app, sub_options *options) {
    CLI::App *sub = app->add_subcommand("sub", "write what is published to standard output");
    sub->add_option("NAME", options->name, "what is published")->required();
    add_sub_output(sub, options);
    CLI::Option *push = sub->add_flag_callback(
        "--push", [options] { options->mode = wakeup::push; },
        "sleep until the publisher wakes this process (default)");
    sub->add_flag_callback(
           "--pull", [options] { options->mode = wakeup::pull; },
           "look again every millisecond or less; gets no descriptors")
        ->excludes(push);
    add_sub_flow(sub, options);
    add_identities(sub, "--publisher", "USER", &options->publishers, parse_user,
                   "accept a publisher of this user and of no other; repeatable. Without it an "
                   "abstract NAME has to be this user's or root's, and a path anyone's");
    sub->add_flag("--wait", options->wait, "wait for a publisher that is not there yet");
    sub->footer(footer(sub_help));
    return sub;
}

CLI::App *add_collect(CLI::App *app, collect_options *options) {
    CLI::App *collect =
        app->add_subcommand("collect", "write what many publish to standard output, line by line");
    collect->add_option("NAME", options->name, "where they dial in")->required();
    add_identities(collect, "--user", "USER", &options->users, parse_user,
                   "this user's publishers may dial in, too; a name or a number, repeatable");
    add_identities(collect, "--group", "GROUP", &options->groups, parse_group,
                   "and whoever is in this group; repeatable");
    collect
        ->add_option(
            "--max-sources", options->max_sources,
            "how many at one time, of one other user half of them, from 1 to 65536 (default 200)")
        ->type_name("N")
        ->check(CLI::Range(1U, 65536U).description(""));
    collect->add_flag("--until-last", options->until_last,
                      "end when the last one has gone; without it, by a signal alone");
    collect->footer(footer(collect_help));
    return collect;
}

CLI::App *add_ls(CLI::App *app, ls_options *options) {
    CLI::App *ls = app->add_subcommand("ls", "list the rings that this user can reach");
    ls->add_flag("--json", options->json, "write them as one line of JSON");
    add_time(ls, "--timeout", &options->timeout,
             "how long each may take to answer, such as 2s (default 500ms)");
    add_time(ls, "--interval", &options->interval,
             "over how long rates are measured; 0: they are not (default 250ms)");
    ls->footer(footer(ls_help));
    return ls;
}

CLI::App *add_stat(CLI::App *app, stat_options *options) {
    CLI::App *stat = app->add_subcommand("stat", "tell how a ring and its readers stand");
    stat->add_option("NAME", options->name, "what is published")->required();
    stat->add_flag("--watch", options->watch, "again and again, until the stream ends");
    stat->add_flag("--json", options->json, "write each account as a line of JSON");
    add_time(stat, "--timeout", &options->timeout,
             "how long the publisher may take to answer (default 2s)");
    add_time(stat, "--interval", &options->interval,
             "how long from one account to the next (default 1s)");
    stat->footer(footer(stat_help));
    return stat;
}

CLI::App *add_top(CLI::App *app, top_options *options) {
    CLI::App *top = app->add_subcommand("top", "show rings and their readers on the screen");
    add_time(top, "--timeout", &options->timeout,
             "how long each may take to answer (default 500ms)");
    add_time(top, "--interval", &options->interval,
             "how long from one look to the next (default 1s)");
    top->footer(footer(top_help));
    return top;
}

CLI::App *add_export(CLI::App *app, export_options *options) {
    CLI::App *metrics = app->add_subcommand("export", "give statistics to Prometheus");
    CLI::Option *listen = metrics->add_option_function<std::string>(
        "--listen",
        [options](const std::string &text) {
            std::tie(options->host, options->port) = parse_endpoint("--listen", text);
        },
        "serve /metrics there, such as 127.0.0.1:9464, until a signal; port 0 is any, which "
        "standard error tells");
    CLI::Option *textfile = metrics->add_option(
        "--textfile", options->textfile,
        "write them to this file, for the collector of that name of Prometheus' node exporter");
    add_time(metrics, "--timeout", &options->timeout,
             "how long each may take to answer (default 500ms)");
    add_time(metrics, "--interval", &options->interval,
             "write the file again and again, so far apart");
    listen->type_name("ADDRESS");
    textfile->type_name("FILE")->excludes(listen);
    metrics->get_option("--interval")->excludes(listen);
    metrics->footer(footer(export_help));
    return metrics;
}

// A bare name lies in a directory that is this user's alone.
void check_access(const std::string &name, bool shared, const char *options) {
    const bool is_bare = !name.starts_with('@') && name.find('/') == std::string::npos;
    if (shared && is_bare) {
        throw usage_error(fmt::format("{1}: others cannot reach '{0}', whose directory is private; "
                                      "give a path with a slash, or @{0}",
                                      name, options));
    }
}

void check_collect(const collect_options &options) {
    check_access(options.name, !options.users.empty() || !options.groups.empty(),
                 "--user, --group");
}

void check_retained(const std::vector<retained_file> &files) {
    constexpr size_t most = 64; // that a ring retains
    if (files.size() > most) {
        throw usage_error(fmt::format("--retain: {} files, {} at most", files.size(), most));
    }
    std::set<uint16_t> keys;
    for (const retained_file &file : files) {
        if (!keys.insert(file.key).second) {
            throw usage_error(fmt::format("--retain: key {} is there twice", file.key));
        }
    }
}

void check_pub(const pub_options &options) {
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    if (options.capacity == 0 || options.capacity % page != 0) {
        throw usage_error(fmt::format("--capacity: {} is not a multiple of the page size, {} bytes",
                                      options.capacity, page));
    }
    if (options.framing == input_framing::chunks &&
        (options.chunk_size == 0 || options.chunk_size > options.payload_limit())) {
        throw usage_error(fmt::format("--chunks: {} is not from 1 to {}, the most that a ring of "
                                      "{} bytes takes (see --capacity)",
                                      options.chunk_size, options.payload_limit(),
                                      options.capacity));
    }
    if (options.wait_for > options.max_consumers) {
        throw usage_error(fmt::format("--wait-for: {} is more than --max-consumers, {}",
                                      options.wait_for, options.max_consumers));
    }
    if (options.files.size() > ZBQ_MAX_FD_PER_MSG) {
        throw usage_error(
            fmt::format("--fd: {} files, {} at most", options.files.size(), ZBQ_MAX_FD_PER_MSG));
    }
    check_retained(options.retained);
    if (!std::isfinite(options.rate) || options.rate < 0 || options.rate > highest_rate) {
        throw usage_error(fmt::format("--rate: {} is not a number of messages per second, from 0 "
                                      "to {}",
                                      options.rate, highest_rate));
    }
    if (options.source.size() > 24 || options.source.find('\0') != std::string::npos) {
        throw usage_error("--source: 24 bytes at most");
    }
    check_access(options.name,
                 !options.users.empty() || !options.groups.empty() || !options.observers.empty() ||
                     !options.observer_groups.empty(),
                 "--user, --group, --observer");
}

void require_interval(uint64_t interval) {
    if (interval < millisecond) {
        throw usage_error("--interval: 1ms at least");
    }
}

void check_export(const export_options &options) {
    if (options.host.empty() && options.textfile.empty()) {
        throw usage_error("export: give --listen or --textfile");
    }
}

void check_sub(const sub_options &options) {
    if (options.keys && options.framing == output_framing::raw) {
        throw usage_error("--keys: among payloads as they are nobody could tell them; give --lines "
                          "or --length-prefixed");
    }
}

// What the parser would only call a missing command.
void check_command(const CLI::App &app, std::string_view first) {
    const auto named = app.get_subcommands(
        [first](const CLI::App *command) { return command->get_name() == first; });
    if (named.empty() && !first.starts_with('-')) {
        std::string known;
        for (const CLI::App *command : app.get_subcommands({})) {
            known += ' ' + command->get_name();
        }
        throw usage_error(
            fmt::format("there is no command '{}'; there are{}\nTry 'zbq --help'.", first, known));
    }
}

std::string help_of(const CLI::App &app, const CLI::Success &request) {
    std::ostringstream text;
    app.exit(request, text, text);
    return text.str();
}

} // namespace

uint64_t pub_options::payload_limit() const {
    return std::min<uint64_t>(capacity - sizeof(zbq_msg_header),
                              std::numeric_limits<uint32_t>::max());
}

declarations::declarations()
    : app("Broadcasts a stream from one process to many through shared memory.", "zbq"),
      pub(add_pub(&app, &publish)), sub(add_sub(&app, &subscribe)),
      gather(add_collect(&app, &collect)), ls(add_ls(&app, &list)), stat(add_stat(&app, &show)),
      top(add_top(&app, &watch)), metrics(add_export(&app, &scrape)) {
    app.set_version_flag("--version", fmt::format("zbq {}.{}.{}", ZBQ_VERSION_MAJOR,
                                                  ZBQ_VERSION_MINOR, ZBQ_VERSION_PATCH));
#ifdef ZBQ_WITH_MCAP
    add_recording(&app, this);
#endif
    app.require_subcommand(1);
    app.footer(footer(main_help));
}

command_line parse_command_line(int argc, char **argv) {
    declarations declared;
    if (argc > 1) {
        check_command(declared.app, argv[1]);
    }
    try {
        declared.app.parse(argc, argv);
    } catch (const CLI::Success &request) {
        return help_request{help_of(declared.app, request)};
    } catch (const CLI::ParseError &error) {
        throw usage_error(fmt::format("{}\nTry 'zbq --help'.", error.what()));
    }
    if (declared.gather->parsed()) {
        check_collect(declared.collect);
        return declared.collect;
    }
    if (declared.ls->parsed()) {
        return declared.list;
    }
    if (declared.stat->parsed()) {
        require_interval(declared.show.interval);
        return declared.show;
    }
    if (declared.top->parsed()) {
        require_interval(declared.watch.interval);
        return declared.watch;
    }
    if (declared.metrics->parsed()) {
        check_export(declared.scrape);
        return declared.scrape;
    }
#ifdef ZBQ_WITH_MCAP
    if (declared.recorder->parsed()) {
        check_record(declared.record);
        return declared.record;
    }
    if (declared.teller->parsed()) {
        return declared.info;
    }
    if (declared.player->parsed()) {
        check_replay(declared.replay);
        return declared.replay;
    }
#endif
    if (!declared.pub->parsed()) {
        check_sub(declared.subscribe);
        return declared.subscribe;
    }
    check_pub(declared.publish);
    return declared.publish;
}

} // namespace zbq::tool
