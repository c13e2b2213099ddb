// SPDX-License-Identifier: MIT
#include "summary.hpp"

#include <algorithm>

namespace bench {

namespace {

enum class spell { near, far, mixed };

spell spell_of(const distances &probes, double threshold) {
    const auto is_far = [threshold](double probe) { return probe > threshold; };
    const int far =
        int{is_far(probes.before)} + int{is_far(probes.between)} + int{is_far(probes.after)};
    if (far == 0) {
        return spell::near;
    }
    return far == 3 ? spell::far : spell::mixed;
}

spell_summary summarise_spell(const act_result &result, spell wanted, double threshold,
                              const act_result *reference) {
    std::vector<double> figures;
    std::vector<double> ratios;
    std::vector<double> to_reference;
    for (std::size_t round = 0; round < result.rounds.size(); ++round) {
        const slice_result &slice = result.rounds[round];
        if (spell_of(slice.probes, threshold) != wanted) {
            continue;
        }
        if (reference != nullptr && round < reference->rounds.size() &&
            spell_of(reference->rounds[round].probes, threshold) == wanted) {
            to_reference.push_back(slice.actors.front().figure /
                                   reference->rounds[round].actors.front().figure);
        }
        figures.push_back(slice.actors.front().figure);
        if (slice.floor > 0) {
            ratios.push_back(slice.actors.front().figure / slice.floor);
        }
    }
    return {figures.size(), spread_of(figures), spread_of(ratios), spread_of(to_reference)};
}

} // namespace

double quantile(std::vector<double> *values, double share) {
    if (values->empty()) {
        return 0;
    }
    const auto rank = static_cast<std::ptrdiff_t>(share * static_cast<double>(values->size() - 1));
    std::nth_element(values->begin(), values->begin() + rank, values->end());
    return (*values)[static_cast<std::size_t>(rank)];
}

spread spread_of(std::vector<double> values) {
    return {quantile(&values, 0.5), quantile(&values, 0.25), quantile(&values, 0.75)};
}

double far_threshold(const std::vector<act_result> &results) {
    std::vector<double> probes;
    for (const act_result &result : results) {
        for (const slice_result &slice : result.rounds) {
            probes.push_back(slice.probes.between);
        }
    }
    const double nearest = quantile(&probes, 0.05);
    return std::max(2.5 * nearest, 250.0);
}

summary summarise(const act_result &result, double threshold, const act_result *reference) {
    summary all;
    all.name = result.name;
    all.failure = result.failure;
    all.near = summarise_spell(result, spell::near, threshold, reference);
    all.far = summarise_spell(result, spell::far, threshold, reference);
    all.samples = result.samples;
    std::uint64_t delivered = 0;
    std::uint64_t sender_cpu = 0;
    std::uint64_t receiver_cpu = 0;
    for (const slice_result &slice : result.rounds) {
        all.messages += slice.actors.front().messages;
        for (const outcome &said : slice.actors) {
            const bool sends = &said == &slice.actors.front();
            all.errors += said.errors;
            delivered += sends ? 0 : said.messages;
            (sends ? sender_cpu : receiver_cpu) += said.cpu_ns;
        }
    }
    if (delivered != 0) {
        all.sender_cpu_ns = static_cast<double>(sender_cpu) / static_cast<double>(delivered);
        all.receiver_cpu_ns = static_cast<double>(receiver_cpu) / static_cast<double>(delivered);
    }
    return all;
}

} // namespace bench
