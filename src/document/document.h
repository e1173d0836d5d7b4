/* document: what people write, as text that a machine can search. */
#ifndef TARN_DOCUMENT_DOCUMENT_H
#define TARN_DOCUMENT_DOCUMENT_H

#include "base/base.h"
#include "document/chunk.h"

#endif
