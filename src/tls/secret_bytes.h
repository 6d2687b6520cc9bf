#pragma once

#include "base/secret_bytes.h"
