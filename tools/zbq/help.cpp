// SPDX-License-Identifier: MIT
#include "help.hpp"

#include <fmt/core.h>

namespace zbq::tool {

const help_text main_help = {
    "NAME is a socket in $XDG_RUNTIME_DIR/zbq (else /run/user/UID/zbq or /tmp/zbq-UID),\n"
    "a path when it has a slash, or an abstract name when it begins with @.\n"
    "'zbq COMMAND --help' tells more. 'zbq bridge' runs zbq-bridge, which carries rings to other\n"
    "machines, where that is installed.",
    {"zbq sub --wait log | grep -i error &", "tail -f /var/log/syslog | zbq pub log", "zbq top"}};

const help_text pub_help = {
    "A consumer gets what is published after it has joined: see --wait-for. One that holds\n"
    "the ring back for --stall-timeout is evicted, with a line on standard error.\n"
    "Only this user's consumers can join, but for --user and --group. With these, NAME is a\n"
    "path that the others can reach, or an abstract name.",
    {"zbq pub --wait-for 2 --input /var/log/dpkg.log log",
     "camera | zbq pub --chunks 65536 --capacity 16M frames",
     "seq 1000 | zbq pub --rate 10 ./numbers.sock",
     "zbq pub --user backup --group adm /run/journal/stream"}};

const help_text sub_help = {"",
                            {"zbq sub log", "zbq sub --wait --sha256 --count frames",
                             "zbq sub --pull --length-prefixed frames | decode"}};

const help_text collect_help = {
    "Each message is a line, after its publisher's name and process number: NAME[PID]: TEXT.\n"
    "Publishers dial in: zbq pub --dial NAME, or zbq::dial in a program. Who comes and goes\n"
    "is told on standard error. Only this user's can, but for --user and --group.",
    {"zbq collect @trace > trace.log &", "make 2>&1 | zbq pub --dial @trace --source make"}};

const help_text ls_help = {
    "Asks who listens at a name in the user's directories, at a path that /proc/net/unix tells\n"
    "of, or at an abstract name, and lists who has a ring, all at once; one that hangs is named\n"
    "after the rest. Asking takes no slot. LAG and rates are in bytes of the ring.",
    {"zbq ls", "zbq ls --json | jq -r '.[] | select(.consumers == 0) | .name'"}};

const help_text stat_help = {
    "The second part tells who holds the stream back: whom the publisher is waiting for, and for\n"
    "how long that one has not moved. What it says is the publisher's account, of a moment\n"
    "ago; with --watch it is read on when the publisher is stopped, and does not answer.",
    {"zbq stat log", "zbq stat --watch --interval 200ms @trace",
     "zbq stat --json log | jq .slots"}};

const help_text top_help = {
    "Keys: arrows, page up and down, j and k choose; enter goes to the readers of a ring and esc\n"
    "back; s sorts by something else, r the other way round; / filters; q quits. Red is who\n"
    "is waited for. NO_COLOR is heeded.",
    {"zbq top", "zbq top --interval 200ms"}};

const help_text export_help = {
    "All that 'zbq ls' would list is asked anew for each scrape. A reader has the number of its\n"
    "join as a label, so that the next one in its slot is another series.",
    {"zbq export --listen 127.0.0.1:9464",
     "zbq export --interval 15s --textfile /var/lib/prometheus/node-exporter/zbq.prom"}};

const help_text record_help = {
    "Each ring is a topic of its name; TOPIC/zbq and TOPIC/gaps tell what else there is to know "
    "of\n"
    "its messages, and what is missing. Descriptors are not kept, but how many there were. What\n"
    "is written stays readable when this is killed or the power fails: zbq info --recover.\n"
    "SIGUSR1 has it tell how it stands.",
    {"zbq record camera lidar -o drive.mcap",
     "zbq record --compression zstd --split-size 1G --keep 10 log -o log.mcap",
     "zbq record --again --ring-buffer 30s telemetry -o incident.mcap"}};

const help_text info_help = {"",
                             {"zbq info drive.mcap", "zbq info cut-off.mcap --recover whole.mcap"}};

const help_text replay_help = {
    "Each topic is published under its name, at the pace of its log times, for who joins as with\n"
    "zbq pub. What was retained is so again; flags are kept, descriptors are not.",
    {"zbq replay --wait-for 1 drive.mcap", "zbq replay --rate max --topic camera drive.mcap",
     "zbq replay --topic /imu=imu --loop other.mcap"}};

const std::string about_statuses = "what sub has read before is written, as far as it can be";

const std::vector<status_meaning> exit_statuses = {
    {"0", "all of the input was published, or all of the stream was read and written"},
    {"1", "an error: bad input, name in use, no room at the publisher, ..."},
    {"2", "a mistake on the command line"},
    {"3", "evicted by the publisher; the message says why (sub)"},
    {"4", "the publisher failed in the midst of its input, or died (sub)"},
    {"5", "nobody publishes that name (sub, stat)"},
    {"6", "the output takes no more: a disk is full, or, without a message, nobody reads it"},
    {"7", "a recording is damaged or cut off; what can be read was read (info, replay)"},
    {"129", "stopped by a hang-up; a publisher has ended its stream properly"},
    {"130", "stopped by Ctrl-C, in the same way"},
    {"143", "stopped by SIGTERM, in the same way"}};

std::string footer(const help_text &help) {
    std::string text = help.remarks.empty() ? "" : fmt::format("\n{}\n", help.remarks);
    text += "\nExamples:\n";
    for (const std::string &example : help.examples) {
        text += fmt::format("  {}\n", example);
    }
    text += fmt::format("\nExit status; {}:\n", about_statuses);
    for (const auto &[status, meaning] : exit_statuses) {
        text += fmt::format("  {:<5}{}\n", status, meaning);
    }
    text.pop_back(); // the formatter ends it with one
    return text;
}

} // namespace zbq::tool
