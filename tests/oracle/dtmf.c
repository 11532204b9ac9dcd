/* The DTMF receiver of spandsp, to be compared with ours. Test use only.
 *
 * stdin:  signals one after another, each as a 32-bit count and so many 16-bit samples at 8 kHz, in the machine's
 *         byte order
 * stdout: for each signal one line with the digits found
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <spandsp.h>

static void print_digits(void *user_data, const char *digits, int length)
{
    (void) user_data;
    fwrite(digits, 1, (size_t) length, stdout);
}

int main(void)
{
    uint32_t count;

    while (fread(&count, sizeof count, 1, stdin) == 1) {
        dtmf_rx_state_t *receiver = dtmf_rx_init(NULL, print_digits, NULL);
        int16_t frame[160];

        while (count > 0) {
            size_t length = count < 160 ? count : 160;

            if (fread(frame, sizeof frame[0], length, stdin) != length)
                return EXIT_FAILURE;
            dtmf_rx(receiver, frame, (int) length);
            count -= (uint32_t) length;
        }
        dtmf_rx_free(receiver);
        putchar('\n');
    }
    return EXIT_SUCCESS;
}
