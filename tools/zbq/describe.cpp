// SPDX-License-Identifier: MIT
//
// Writes what the command line takes as JSON, for the makers of manual pages and completions.
// zbq-describe FILE
#include "declarations.hpp"
#include "help.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace {

using nlohmann::ordered_json;
using namespace zbq::tool;

ordered_json describe(const CLI::Option &option) {
    ordered_json names = ordered_json::array();
    for (const std::string &name : option.get_snames()) {
        names.push_back("-" + name);
    }
    for (const std::string &name : option.get_lnames()) {
        names.push_back("--" + name);
    }
    std::vector<std::string> excludes;
    for (const CLI::Option *other : option.get_excludes()) {
        excludes.push_back("--" + other->get_lnames().front());
    }
    std::ranges::sort(excludes); // CLI11 has them by address
    const bool takes_value = option.get_items_expected_max() > 0;
    return {{"names", names},
            {"value", takes_value ? option.get_type_name() : ""},
            {"repeatable", option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll},
            {"required", option.get_required()},
            {"excludes", excludes},
            {"description", option.get_description()}};
}

ordered_json describe(const CLI::App &app, const help_text &help) {
    ordered_json positionals = ordered_json::array();
    ordered_json options = ordered_json::array();
    for (const CLI::Option *option : app.get_options()) {
        if (option->get_positional()) {
            positionals.push_back({{"name", option->get_name()},
                                   {"repeatable", option->get_items_expected_max() > 1},
                                   {"description", option->get_description()}});
        } else {
            options.push_back(describe(*option));
        }
    }
    ordered_json statuses = ordered_json::array();
    for (const auto &[status, meaning] : exit_statuses) {
        statuses.push_back({{"status", status}, {"meaning", meaning}});
    }
    return {{"name", app.get_name()},           {"description", app.get_description()},
            {"positionals", positionals},       {"options", options},
            {"remarks", help.remarks},          {"examples", help.examples},
            {"about_statuses", about_statuses}, {"statuses", statuses}};
}

void describe_all(const char *path) {
    const declarations declared;
    ordered_json all = describe(declared.app, main_help);
    all["subcommands"] = {
        describe(*declared.pub, pub_help),        describe(*declared.sub, sub_help),
        describe(*declared.gather, collect_help), describe(*declared.ls, ls_help),
        describe(*declared.stat, stat_help),      describe(*declared.top, top_help),
        describe(*declared.metrics, export_help)};
    if (declared.recorder != nullptr) {
        all["subcommands"].push_back(describe(*declared.recorder, record_help));
        all["subcommands"].push_back(describe(*declared.teller, info_help));
        all["subcommands"].push_back(describe(*declared.player, replay_help));
    }
    std::ofstream file;
    file.exceptions(std::ios::failbit | std::ios::badbit);
    file.open(path);
    file << all.dump(2) << '\n';
    file.close();
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        return EXIT_FAILURE;
    }
    try {
        describe_all(argv[1]);
    } catch (const std::exception &error) {
        std::fputs(error.what(), stderr);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
