/* A product of two matrices of doubles: streams of floating-point arithmetic that a
 * compiler can put into vectors without changing any result. */
#include "program.h"

enum { SIZE = 384, PASSES = 10 };

static double left[SIZE][SIZE], right[SIZE][SIZE], product[SIZE][SIZE];

static double random_fraction(void) { return (double)(random_bits() >> 40) / (1 << 24) - 0.5; }

static void prepare(void)
{
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            left[i][j] = random_fraction();
            right[i][j] = random_fraction();
            product[i][j] = 0;
        }
}

static uint64_t work(void)
{
    for (int pass = 0; pass < PASSES; pass++)
        for (int i = 0; i < SIZE; i++)
            for (int k = 0; k < SIZE; k++) {
                double factor = left[i][k];
                for (int j = 0; j < SIZE; j++)
                    product[i][j] += factor * right[k][j];
            }
    uint64_t checksum = 0;
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            union { double number; uint64_t bits; } view = {product[i][j]};
            checksum = (checksum ^ view.bits) * 0x100000001b3u;
        }
    return checksum;
}
