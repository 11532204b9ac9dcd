/* Prints the DTMF digits that spandsp finds in 8 kHz, 16-bit samples (native order) on standard input. Test use only. */
#include <stdint.h>
#include <stdio.h>
#include <spandsp.h>

static void found(void *unused, const char *digits, int count)
{
    (void) unused;
    fwrite(digits, 1, (size_t) count, stdout);
}

int main(void)
{
    dtmf_rx_state_t *receiver = dtmf_rx_init(NULL, found, NULL);
    int16_t frame[160];
    size_t count;

    while ((count = fread(frame, sizeof frame[0], 160, stdin)) > 0)
        dtmf_rx(receiver, frame, (int) count);
    dtmf_rx_free(receiver);
    putchar('\n');
    return 0;
}
