/* The G.722 codec of spandsp, to be compared with ours. Test use only.
 *
 * argument: "encode" (stdin: 16-bit samples at 16 kHz in the machine's byte order, stdout: codes), or "decode" (the other
 *           way round)
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spandsp.h>

int main(int count, char *arguments[])
{
    int16_t samples[320];
    uint8_t codes[160];
    size_t length;

    if (count == 2 && strcmp(arguments[1], "encode") == 0) {
        g722_encode_state_t *encoder = g722_encode_init(NULL, 64000, 0);

        while ((length = fread(samples, sizeof samples[0], 320, stdin)) > 0)
            fwrite(codes, 1, (size_t) g722_encode(encoder, codes, samples, (int) length), stdout);
        return EXIT_SUCCESS;
    }
    if (count == 2 && strcmp(arguments[1], "decode") == 0) {
        g722_decode_state_t *decoder = g722_decode_init(NULL, 64000, 0);

        while ((length = fread(codes, 1, 160, stdin)) > 0)
            fwrite(samples, sizeof samples[0], (size_t) g722_decode(decoder, samples, codes, (int) length), stdout);
        return EXIT_SUCCESS;
    }
    return EXIT_FAILURE;
}
