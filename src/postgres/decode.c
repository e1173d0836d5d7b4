/* Arrays and pgvector's types, read. */
#include "postgres/decode.h"

bool postgres_read_vector(const unsigned char *data, size_t length, float *values, size_t capacity, size_t *ret_count)
{
    if (length < 4 || postgres_u16(data + 2) != 0)
        return false;
    size_t count = postgres_u16(data);
    if (length != 4 + 4 * count || count > capacity)
        return false;
    data += 4;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = postgres_u32(data + 4 * i);
        memcpy(&values[i], &bits, 4);
    }
    *ret_count = count;
    return true;
}

bool postgres_read_halfvec(const unsigned char *data, size_t length, float *values, size_t capacity,
                           size_t *ret_count)
{
    if (length < 4 || postgres_u16(data + 2) != 0)
        return false;
    size_t count = postgres_u16(data);
    if (length != 4 + 2 * count || count > capacity)
        return false;
    data += 4;
    for (size_t i = 0; i < count; i++)
        values[i] = postgres_half_to_float(postgres_u16(data + 2 * i));
    *ret_count = count;
    return true;
}

float postgres_half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 0x1f, fraction = half & 0x3ff, bits;
    if (exponent == 0x1f) {
        bits = sign | 0x7f800000 | fraction << 13;
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else {
        /* Below the smallest normal: fraction * 2^-24, exactly. */
        float small = (float)fraction * 0x1p-24f;
        return sign ? -small : small;
    }
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

uint16_t postgres_float_to_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000);
    uint32_t rest = bits & 0x7fffffff;
    if (rest > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (rest >= 0x477ff000) /* 65520: rounds past the greatest */
        return (uint16_t)(sign | 0x7c00);
    if (rest < 0x38800000) {
        /* Not normal as a half: adding a power of two rounds at its last bit, to even. */
        float magnitude, magic = 0.5f;
        memcpy(&magnitude, &rest, 4);
        magnitude += magic;
        memcpy(&rest, &magnitude, 4);
        return (uint16_t)(sign | (rest - 0x3f000000));
    }
    uint32_t odd = (rest >> 13) & 1;
    rest += 0xc8000fff + odd; /* rebias the exponent by -112, round to even */
    return (uint16_t)(sign | rest >> 13);
}

bool postgres_read_array(const unsigned char *data, size_t length, struct postgres_elements *ret)
{
    if (length < 12)
        return false;
    struct postgres_elements found = {.type = postgres_u32(data + 8), .dimensions = postgres_u32(data)};
    if (found.dimensions > POSTGRES_ARRAY_DIMENSIONS || postgres_u32(data + 4) > 1 ||
        length < 12 + 8 * (size_t)found.dimensions)
        return false;
    found.at = data + 12 + 8 * (size_t)found.dimensions;
    found.end = data + length;
    found.count = found.dimensions > 0;
    uint64_t most = (uint64_t)(found.end - found.at) / 4;
    for (unsigned i = 0; i < found.dimensions; i++) {
        found.extent[i] = postgres_u32(data + 12 + 8 * (size_t)i);
        found.count *= found.extent[i];
        if (found.extent[i] == 0 || found.count > most)
            return false;
    }
    *ret = found;
    return true;
}

bool postgres_read_element(struct postgres_elements *elements, struct postgres_field *ret)
{
    if (elements->end - elements->at < 4)
        return false;
    int32_t length = (int32_t)postgres_u32(elements->at);
    const unsigned char *data = elements->at + 4;
    if (length < -1 || (length > 0 && elements->end - data < length))
        return false;
    *ret = (struct postgres_field){.data = data, .length = length};
    elements->at = data + (length > 0 ? length : 0);
    return true;
}
