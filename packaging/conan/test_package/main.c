// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <zbq.h>

int main(void) {
    const zbq_producer_params params = {.ring_capacity = 65536, .max_consumers = 1};
    zbq_producer *producer = NULL;
    const int error = zbq_producer_create(&producer, &params);
    printf("zbq %u: %s\n", (unsigned)zbq_version() >> 16, zbq_strerror(error));
    zbq_producer_destroy(producer);
    return error == ZBQ_OK ? 0 : 1;
}
