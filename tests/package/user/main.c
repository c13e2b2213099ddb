// SPDX-License-Identifier: MIT
#include <zbq.h>

int main(void) {
    const zbq_producer_params params = {.ring_capacity = 65536, .max_consumers = 1};
    zbq_producer *producer = NULL;
    if (zbq_producer_create(&producer, &params) != ZBQ_OK) {
        return 1;
    }
    zbq_producer_destroy(producer);
    return 0;
}
