/* The packet loss concealment of spandsp, to be compared with ours. Test use only.
 *
 * stdin:  frames: one octet (1: it is lost) and 160 samples of 16 bits at 8 kHz, in the machine's byte order; an octet of 2
 *         alone begins another stream
 * stdout: what is played, 160 samples for each frame
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <spandsp.h>

int main(void)
{
    plc_state_t *plc = plc_init(NULL);
    int16_t frame[160];
    int lost;

    while ((lost = getchar()) != EOF) {
        if (lost == 2) {
            plc = plc_init(plc);
            continue;
        }
        if (fread(frame, sizeof frame[0], 160, stdin) != 160)
            return EXIT_FAILURE;
        if (lost)
            plc_fillin(plc, frame, 160);
        else
            plc_rx(plc, frame, 160);
        fwrite(frame, sizeof frame[0], 160, stdout);
    }
    return EXIT_SUCCESS;
}
