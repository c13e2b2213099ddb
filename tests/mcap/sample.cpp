// SPDX-License-Identifier: MIT
//
// Writes the sample in each way for a reader of others, beside a list of its messages.
// zbq_mcap_sample DIRECTORY
#include "samples.hpp"

#include <exception>
#include <fstream>
#include <iostream>

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    try {
        const std::string directory = argv[1];
        for (const test::way &each : test::ways()) {
            test::file_sink file(directory + '/' + each.name + ".mcap");
            test::write_sample(&file, each.options);
            file.close();
        }
        std::ofstream list(directory + "/messages");
        for (const test::plain_message &each : test::in_order_of_time(test::sample_messages())) {
            list << each.topic << ' ' << each.sequence << ' ' << each.time << ' ' << each.text
                 << '\n';
        }
        list.close();
        return list ? 0 : 1;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
