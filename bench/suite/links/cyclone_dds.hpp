// SPDX-License-Identifier: MIT
//
// Eclipse Cyclone DDS: reliable, all history kept, over the loopback interface.
#pragma once

#include "../link.hpp"
#include "../unpinned.hpp"
#include "payload.h" // made from payload.idl

#include <dds/dds.h>
#include <memory>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

class cyclone_dds {
public:
    static constexpr const char *name = "Cyclone DDS";

    explicit cyclone_dds(const link_options &options) : options_(options), bytes_(options.size) {
        static unsigned made = 0;
        constexpr unsigned most_domains = 200; // its ports are made from the number
        domain_ = 1 + made++ % most_domains;
    }
    void become_sender() {
        const unpinned threads;
        open();
        entity_ = checked(dds_create_writer(participant_, topic_, quality_.get(), nullptr));
        dds_publication_matched_status_t matched = {};
        while (matched.current_count < options_.receivers) {
            checked(dds_get_publication_matched_status(entity_, &matched));
            sched_yield();
        }
    }
    void become_receiver(unsigned /*index*/) {
        const unpinned threads;
        open();
        entity_ = checked(dds_create_reader(participant_, topic_, quality_.get(), nullptr));
        arrived_ = checked(dds_create_waitset(participant_));
        checked(dds_set_status_mask(entity_, DDS_DATA_AVAILABLE_STATUS));
        checked(dds_waitset_attach(arrived_, entity_, entity_));
    }

    void send(std::size_t size, std::uint64_t number) {
        fill(bytes_.data(), size, number);
        bench_dds_payload sample = {};
        sample.bytes._length = static_cast<std::uint32_t>(size);
        sample.bytes._maximum = sample.bytes._length;
        sample.bytes._buffer = reinterpret_cast<std::uint8_t *>(bytes_.data());
        checked(dds_write(entity_, &sample));
    }
    void flush() {
        if (options_.streaming) {
            dds_write_flush(entity_);
        }
    }

    template <typename Visit>
    void receive(const Visit &visit) {
        constexpr std::size_t most = 64;
        void *samples[most] = {};
        dds_sample_info_t about[most] = {};
        const int count = dds_take(entity_, samples, about, most, most);
        for (int i = 0; i < count; ++i) {
            const auto &bytes = static_cast<const bench_dds_payload *>(samples[i])->bytes;
            if (about[i].valid_data) {
                visit(std::span<const std::byte>(reinterpret_cast<const std::byte *>(bytes._buffer),
                                                 bytes._length));
            }
        }
        if (count > 0) {
            dds_return_loan(entity_, samples, count);
        } else if (options_.sleeping) {
            dds_waitset_wait(arrived_, nullptr, 0, DDS_MSECS(100));
        }
    }

private:
    static dds_entity_t checked(dds_return_t result) {
        if (result < 0) {
            throw std::runtime_error(dds_strretcode(result));
        }
        return result;
    }
    void open() {
        std::string configuration =
            "<General><Interfaces><NetworkInterface name=\"lo\" multicast=\"false\"/></Interfaces>"
            "<MaxMessageSize>65500B</MaxMessageSize></General>"
            "<Discovery><ParticipantIndex>auto</ParticipantIndex>"
            "<MaxAutoParticipantIndex>70</MaxAutoParticipantIndex>"
            "<Peers><Peer address=\"127.0.0.1\"/></Peers></Discovery>";
        if (options_.streaming) {
            configuration += "<Internal><WriteBatch>true</WriteBatch></Internal>";
        }
        dds_set_log_mask(DDS_LC_FATAL | DDS_LC_ERROR);
        checked(dds_create_domain(domain_, configuration.c_str()));
        participant_ = checked(dds_create_participant(domain_, nullptr, nullptr));
        quality_.reset(dds_create_qos());
        dds_qset_reliability(quality_.get(), DDS_RELIABILITY_RELIABLE, DDS_SECS(10));
        dds_qset_history(quality_.get(), DDS_HISTORY_KEEP_ALL, 0);
        topic_ = checked(dds_create_topic(participant_, &bench_dds_payload_desc, "bench",
                                          quality_.get(), nullptr));
    }
    struct delete_quality {
        void operator()(dds_qos_t *quality) const { dds_delete_qos(quality); }
    };

    link_options options_;
    unsigned domain_ = 0;
    dds_entity_t participant_ = 0;
    dds_entity_t topic_ = 0;
    dds_entity_t entity_ = 0;
    dds_entity_t arrived_ = 0;
    std::unique_ptr<dds_qos_t, delete_quality> quality_;
    std::vector<std::byte> bytes_;
};

} // namespace bench
