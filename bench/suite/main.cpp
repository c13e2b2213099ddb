// SPDX-License-Identifier: MIT
//
// zbq-bench: zbq against the machine's own limits and against what people would use instead.
#include "report.hpp"
#include "targets.hpp"
#include "workloads.hpp"

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

namespace bench {

namespace {

struct settings {
    double effort = 1;
    std::string only = ".";
    std::string json;
};

bool save(const std::string &path, const nlohmann::json &all) {
    std::ofstream file(path);
    file << all.dump(1) << '\n';
    file.close();
    return file.good();
}

int measure_all(const settings &how) {
    const std::regex wanted(how.only);
    nlohmann::json all = {{"machine", machine()}};
    fmt::print("{}\n", all["machine"].dump());
    if (busy_share() > 0.1) {
        fmt::print("Others are at work on this machine: the figures are theirs too.\n");
    }
    fmt::print("Medians of slices that alternate with the floor's. 'near' and 'far': how far the "
               "processors were apart.\n'?': the spread is too wide to conclude anything.\n");
    call_costs costs;
    if (std::regex_search("calls", wanted)) {
        costs = measure_calls(how.effort);
        print(costs);
        all["calls"] = to_json(costs);
    }
    std::uint64_t errors = 0;
    const std::vector<workload> workloads = all_workloads(how.effort);
    std::vector<workload_result> results;
    for (const workload &work : workloads) {
        if (!std::regex_search(work.key, wanted)) {
            continue;
        }
        results.push_back(run(work));
        const workload_result &result = results.back();
        print(result);
        all["workloads"].push_back(to_json(result));
        for (const summary &system : result.systems) {
            errors += system.errors;
        }
    }
    const std::vector<verdict> verdicts = judge(results, costs);
    print(verdicts);
    all["targets"] = to_json(verdicts);
    if (!how.json.empty() && !save(how.json, all)) {
        fmt::print(stderr, "zbq-bench: cannot write {}\n", how.json);
        return 1;
    }
    return errors == 0 ? 0 : 1;
}

} // namespace

} // namespace bench

int main(int argc, char **argv) {
    try {
        bench::settings how;
        CLI::App app("Measures zbq against the machine's limits and against other systems.",
                     "zbq-bench");
        app.add_flag_callback(
            "--quick", [&how] { how.effort = 0.12; }, "about a minute");
        app.add_option("--effort", how.effort, "of the slices of the full run, this share")
            ->check(CLI::Range(0.0, 10.0));
        app.add_option("--only", how.only,
                       "workloads whose key matches this regular expression; calls: one call each");
        app.add_option("--json", how.json, "write the results to this file");
        CLI11_PARSE(app, argc, argv);
        return bench::measure_all(how);
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "zbq-bench: %s\n", failure.what());
        return 1;
    }
}
