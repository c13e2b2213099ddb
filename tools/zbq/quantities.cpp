// SPDX-License-Identifier: MIT
#include "quantities.hpp"

#include "units.hpp"

namespace zbq::tool {

CLI::Option *add_size(CLI::App *to, const std::string &option, uint64_t *value,
                      const std::string &description) {
    return to
        ->add_option_function<std::string>(
            option, [=](const std::string &text) { *value = parse_size(option, text); },
            description)
        ->type_name("SIZE");
}

CLI::Option *add_time(CLI::App *to, const std::string &option, uint64_t *value,
                      const std::string &description) {
    return to
        ->add_option_function<std::string>(
            option, [=](const std::string &text) { *value = parse_duration(option, text); },
            description)
        ->type_name("TIME");
}

} // namespace zbq::tool
