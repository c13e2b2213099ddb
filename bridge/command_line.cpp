// SPDX-License-Identifier: MIT
#include "command_line.hpp"

#include "tools/zbq/errors.hpp"
#include "tools/zbq/identities.hpp"
#include "tools/zbq/quantities.hpp"
#include "tools/zbq/units.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

namespace zbq::bridge {

namespace {

using tool::usage_error;

constexpr const char *remarks =
    "\nA stream is of one ring; where it is not there, export makes it. docs/bridge.md has the\n"
    "promise, the notes that import publishes among the messages, and what a server carries.\n"
    "\nExamples:\n"
    "  zbq bridge export camera --to nats://hub:4222 --stream CAMERA\n"
    "  zbq bridge import --from nats://hub:4222 --stream CAMERA camera --position camera.pos\n"
    "  zbq bridge run /etc/zbq/bridge.conf\n"
    "\nSIGUSR1 has it tell how it stands. Exit status: 0 the ring has ended (--once), 1 an error,\n"
    "2 a mistake on the command line, 8 another exporter has the stream now, 128 and its number\n"
    "after a signal.\n";

// What a command line declares, and what becomes of it.
struct declarations {
    CLI::App app{"zbq-bridge: rings to streams of NATS JetStream, and back", "zbq bridge"};
    export_options out;
    import_options in;
    origin_options origin;
    std::string file;
    CLI::App *exporting;
    CLI::App *importing;
    CLI::App *running;
    CLI::App *asking;

    declarations();
};

// The first line of a file, which nobody sees in a list of processes.
void add_secret(CLI::App *to, const std::string &option, std::string *value, const char *about) {
    to->add_option_function<std::string>(
          option,
          [=](const std::string &path) {
              std::ifstream file(path);
              if (!std::getline(file, *value) || value->empty()) {
                  throw usage_error(option + ": " + path +
                                    ": cannot be read, or has no first line");
              }
          },
          about)
        ->type_name("FILE");
}

void add_server(CLI::App *to, const std::string &option, server_options *server) {
    to->add_option(option, server->urls,
                   "nats:// or tls:// and the server's host and port; several servers of a "
                   "cluster after commas")
        ->required()
        ->delimiter(',')
        ->type_name("URL");
    to->add_option("--creds", server->credentials, "a file with a user's JWT and seed")
        ->type_name("FILE");
    to->add_option("--user", server->user, "a user's name")->type_name("NAME");
    add_secret(to, "--password-file", &server->password, "a file with that user's password");
    add_secret(to, "--token-file", &server->token, "a file with a token");
    to->add_option("--tls-ca", server->ca, "certificates to trust, for TLS")->type_name("FILE");
    CLI::Option *key =
        to->add_option("--tls-key", server->key, "the key of --tls-cert")->type_name("FILE");
    to->add_option("--tls-cert", server->certificate, "this side's certificate")
        ->type_name("FILE")
        ->needs(key);
    to->add_option("--tls-host", server->host, "whose certificate the server is to have")
        ->type_name("NAME");
}

void add_common(CLI::App *to, bool *once, bool *quiet, bool *json) {
    to->add_flag("--once", *once, "end with the ring, and do not wait for the next one");
    to->add_flag("--quiet", *quiet, "no summary at the end");
    to->add_flag("--json", *json, "summaries for programs");
}

void add_export(CLI::App *to, export_options *options) {
    to->add_option("NAME", options->ring.name, "the ring, as for zbq sub")->required();
    add_server(to, "--to", &options->server);
    to->add_option("--stream", options->stream.name, "its stream")->required()->type_name("S");
    to->add_flag("--lossless", options->ring.lossless,
                 "hold the publisher back rather than miss messages; without it, observe");
    to->add_option_function<std::string>(
          "--begin",
          [options](const std::string &text) {
              options->ring.from = tool::parse_start("--begin", text);
          },
          "where to begin with a stream that is empty: oldest (default), head, or as sub --from")
        ->type_name("START");
    tool::add_time(to, "--linger", &options->linger,
                   "how long a message may wait for others to be packed with it (default 1ms)");
    tool::add_size(to, "--frame", &options->frame,
                   "bytes that are enough to be sent (default 128K)");
    tool::add_size(to, "--window", &options->window,
                   "bytes that may be without an acknowledgement (default 8M)");
    tool::add_time(to, "--refresh", &options->refresh,
                   "how often to repeat what is retained, for who reads from there (default 10s)");
    to->add_flag_callback(
        "--no-create", [options] { options->stream.create = false; },
        "the stream is to be there already");
    to->add_flag("--memory", options->stream.in_memory, "make it in the server's memory");
    to->add_option("--replicas", options->stream.replicas, "make it on so many servers")
        ->check(CLI::Range(1, 5))
        ->type_name("N");
    to->add_option_function<std::string>(
          "--max-bytes",
          [options](const std::string &text) {
              options->stream.max_bytes = tool::parse_size("--max-bytes", text);
          },
          "make it lose its oldest messages beyond so many bytes")
        ->type_name("SIZE");
    tool::add_time(to, "--max-age", &options->stream.max_age,
                   "make it lose messages that are older");
    to->add_flag("--adopt", options->adopt, "go on with a stream of another ring's name");
    add_common(to, &options->once, &options->quiet, &options->json);
}

void add_imported_ring(CLI::App *to, import_options *options) {
    to->add_option_function<std::string>(
          "--capacity",
          [options](const std::string &text) {
              options->capacity = tool::parse_size("--capacity", text);
          },
          "bytes in the ring here (default as the original has, and 4M at least)")
        ->type_name("SIZE");
    tool::add_time(to, "--stall-timeout", &options->stall_timeout,
                   "how long a reader may hold the ring here back (default 5s)");
    to->add_option("--max-consumers", options->max_consumers, "readers at one time (default 16)")
        ->type_name("N");
    to->add_option("--wait-for", options->wait_for,
                   "publish the first message when so many readers are there")
        ->type_name("N");
    to->add_option_function<std::vector<std::string>>(
          "--reader",
          [options](const std::vector<std::string> &texts) {
              for (const std::string &text : texts) {
                  options->users.push_back(tool::parse_user("--reader", text));
              }
          },
          "lets this user join, as pub --user; repeatable")
        ->expected(1)
        ->take_all()
        ->type_name("USER");
    to->add_option_function<std::vector<std::string>>(
          "--reader-group",
          [options](const std::vector<std::string> &texts) {
              for (const std::string &text : texts) {
                  options->groups.push_back(tool::parse_group("--reader-group", text));
              }
          },
          "lets this group join, as pub --group; repeatable")
        ->expected(1)
        ->take_all()
        ->type_name("GROUP");
    to->add_option("--note-key", options->note_key, "the key of notes (default 32767)")
        ->check(CLI::Range(1, 32767))
        ->type_name("KEY");
}

void add_import(CLI::App *to, import_options *options) {
    to->add_option("NAME", options->name, "of the ring here, as for zbq pub")->required();
    add_server(to, "--from", &options->server);
    to->add_option("--stream", options->stream, "which stream")->required()->type_name("S");
    to->add_option("--position", options->position,
                   "the file that keeps how far this has come; without it, it begins anew")
        ->type_name("FILE");
    to->add_option_function<std::string>(
          "--begin",
          [options](const std::string &text) {
              std::uint64_t number = text == "first" ? 1 : 0;
              const char *const end = text.data() + text.size();
              const auto [rest, error] = std::from_chars(text.data(), end, number);
              if (text != "first" && text != "next" && (error != std::errc() || rest != end)) {
                  throw usage_error("--begin: '" + text + "' is not first, next or a number");
              }
              options->from = number;
          },
          "where to begin without a position: first (default), next, or a message's number")
        ->type_name("START");
    add_imported_ring(to, options);
    tool::add_size(
        to, "--window", &options->window,
        "bytes that are asked for at once (default 4M, and the largest message at least)");
    add_common(to, &options->once, &options->quiet, &options->json);
}

declarations::declarations() {
    app.footer(remarks);
    app.require_subcommand(1);
    exporting = app.add_subcommand("export", "a ring to a stream");
    add_export(exporting, &out);
    importing = app.add_subcommand("import", "a stream to a ring");
    add_import(importing, &in);
    running = app.add_subcommand("run", "what a file says, an export or import a line");
    running->add_option("FILE", file, "with lines as after zbq bridge, and comments after #")
        ->required();
    asking = app.add_subcommand("origin", "tell where an imported ring is from");
    asking->add_option("NAME", origin.name, "the ring here")->required();
    asking->add_option("--note-key", origin.note_key, "as for import")->type_name("KEY");
}

// The server makes files and subjects of it.
void check_stream_name(const std::string &name) {
    const bool is_plain =
        !name.empty() && name.size() <= 128 && std::ranges::all_of(name, [](unsigned char each) {
            return std::isalnum(each) != 0 || each == '-' || each == '_';
        });
    if (!is_plain) {
        throw usage_error("--stream: '" + name +
                          "' is no name; give letters, digits, - and _, 128 at most");
    }
}

void check(export_options *options) {
    check_stream_name(options->stream.name);
    options->server.name = "zbq-bridge export " + options->ring.name;
    if (options->frame == 0 || options->window < options->frame) {
        throw usage_error("--window: there is no room for a frame (see --frame)");
    }
    if (options->linger > 60 * tool::second) {
        throw usage_error("--linger: give 60s or less");
    }
}

void check(import_options *options) {
    check_stream_name(options->stream);
    options->server.name = "zbq-bridge import " + options->name;
    if (options->window > std::size_t{1} << 30U) {
        throw usage_error("--window: give 1G or less");
    }
}

job job_of(declarations *declared) {
    if (declared->exporting->parsed()) {
        check(&declared->out);
        return declared->out;
    }
    check(&declared->in);
    return declared->in;
}

job job_in(const std::string &where, const std::string &line) {
    declarations declared;
    try {
        declared.app.parse(line, false);
    } catch (const CLI::Success &) {
        throw usage_error(where + ": help is no job");
    } catch (const CLI::ParseError &error) {
        throw usage_error(where + ": " + error.what());
    }
    if (!declared.exporting->parsed() && !declared.importing->parsed()) {
        throw usage_error(where + ": give export or import");
    }
    return job_of(&declared);
}

std::vector<job> jobs_in(const std::string &path) {
    std::ifstream file(path);
    if (!file) {
        throw tool::system_failure("opening " + path);
    }
    std::vector<job> jobs;
    std::set<std::string> streams;
    std::string line;
    for (unsigned number = 1; std::getline(file, line); ++number) {
        const std::size_t begin = line.find_first_not_of(" \t");
        if (begin == std::string::npos || line[begin] == '#') {
            continue;
        }
        const std::string where = path + ":" + std::to_string(number);
        jobs.push_back(job_in(where, line.substr(begin)));
        if (const auto *out = std::get_if<export_options>(&jobs.back());
            out != nullptr && !streams.insert(out->stream.name).second) {
            throw usage_error(where + ": a second ring for the stream " + out->stream.name);
        }
    }
    if (jobs.empty()) {
        throw usage_error(path + ": there is nothing to do in it");
    }
    return jobs;
}

} // namespace

request parse_command_line(int argc, char **argv) {
    declarations declared;
    try {
        declared.app.parse(argc, argv);
    } catch (const CLI::CallForHelp &) {
        return help_request{declared.app.help()};
    } catch (const CLI::ParseError &error) {
        throw usage_error(std::string(error.what()) + "\nTry: zbq bridge --help");
    }
    if (declared.asking->parsed()) {
        return declared.origin;
    }
    return declared.running->parsed() ? jobs_in(declared.file)
                                      : std::vector<job>{job_of(&declared)};
}

} // namespace zbq::bridge
