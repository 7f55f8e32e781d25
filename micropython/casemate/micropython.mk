# Included by MicroPython's make when USER_C_MODULES names the folder above this one. See docs/micropython.md.
#
#   WOLFSSL_PORT                 unix (default), stm32; qemu is for tests
#   WOLFSSL_USER_SETTINGS_FILE   a user_settings.h in place of ports/$(WOLFSSL_PORT)/user_settings.h
#   WOLFSSL_ALIAS=1              register the modules under MicroPython's own names too
#   WOLFSSL_KEEP_BUILTIN=1       leave MicroPython's own hash and cipher modules in
#   CASEMATE_TEST=1              functions of wolfssl for tests: memory in use, allocations that fail
#   CASEMATE_CARGO               the cargo to call; CASEMATE_CARGO_FLAGS are added to its arguments
#   CASEMATE_RUST_TARGET         Rust's name of the target; normally found from the port
#   CASEMATE_TARGET_DIR          cargo's target folder; normally in the build folder

CASEMATE_DIR := $(USERMOD_DIR)
CASEMATE_SUBDIR := $(patsubst $(USER_C_MODULES)/%,%,$(USERMOD_DIR))

WOLFSSL_PORT ?= unix
CASEMATE_PORT_DIR := $(CASEMATE_DIR)/ports/$(WOLFSSL_PORT)
ifeq ($(wildcard $(CASEMATE_PORT_DIR)/port.c),)
$(error WOLFSSL_PORT=$(WOLFSSL_PORT): there is no such port; $(CASEMATE_DIR)/ports has: $(notdir $(wildcard $(CASEMATE_DIR)/ports/*)))
endif

# The settings file: the C preprocessor reads it, and the macros known here choose cargo features and the profile.
WOLFSSL_USER_SETTINGS_FILE ?= $(CASEMATE_PORT_DIR)/user_settings.h
ifeq ($(wildcard $(WOLFSSL_USER_SETTINGS_FILE)),)
$(error WOLFSSL_USER_SETTINGS_FILE: $(WOLFSSL_USER_SETTINGS_FILE) does not exist)
endif
CASEMATE_SETTINGS := $(shell $(CC) -dM -E -x c $(WOLFSSL_USER_SETTINGS_FILE) | sed -n 's/^\#define \([A-Z][A-Z0-9_]*\).*/\1/p')
casemate_set = $(filter $(1),$(CASEMATE_SETTINGS))
# Of the larger curves those that are asked for, if ECC_USER_CURVES says that they have to be.
casemate_curve = $(if $(call casemate_set,ECC_USER_CURVES),$(if $(call casemate_set,HAVE_ECC$(1)),p$(1)),p$(1))
CASEMATE_FEATURES := firmware
CASEMATE_FEATURES += $(if $(call casemate_set,NO_MD5),,md5)
CASEMATE_FEATURES += $(if $(call casemate_set,NO_SHA),,sha1)
CASEMATE_FEATURES += $(if $(call casemate_set,WOLFSSL_SHA384 WOLFSSL_SHA512),sha512)
CASEMATE_FEATURES += $(if $(call casemate_set,WOLFSSL_SHA3 WOLFSSL_SHAKE128 WOLFSSL_SHAKE256),sha3)
CASEMATE_FEATURES += $(if $(call casemate_set,HAVE_AESGCM HAVE_AESCCM),aead)
CASEMATE_FEATURES += $(if $(call casemate_set,HAVE_HKDF WOLFSSL_CMAC HAVE_PBKDF2),mac)
CASEMATE_FEATURES += $(if $(call casemate_set,WOLFSSL_TLS13),tls $(if $(call casemate_set,WOLFSSL_NO_TLS12),,tls12) $(if $(call casemate_set,NO_RSA),,rsa) $(call casemate_curve,384) $(call casemate_curve,521) $(if $(call casemate_set,NO_SESSION_CACHE),,resumption))
CASEMATE_FEATURES += $(if $(call casemate_set,WOLFHSM_CFG_ENABLE_CLIENT),hsm)
# Processors of an STM32: their registers are known for these series only. For AES there are CRYP and, in three generations, AES;
# f4 and f7 have chips with either. The HASH of two chips has no SHA-2; that of H503 is U5's without MD5.
CASEMATE_AES := $(if $(filter f4 f7 h7,$(MCU_SERIES)),stm32_crypto)
ifneq ($(filter g4 h5 l1 l4 u5 wb wl,$(MCU_SERIES))$(filter STM32F423xx STM32F730xx STM32F732xx STM32F733xx,$(CMSIS_MCU)),)
CASEMATE_AES := stm32_crypto stm32_aes $(if $(filter l1,$(MCU_SERIES)),stm32_aes_first) $(if $(filter h5 u5,$(MCU_SERIES)),stm32_aes_third)
endif
CASEMATE_FEATURES += $(if $(call casemate_set,STM32_CRYPTO),$(CASEMATE_AES))
CASEMATE_FEATURES += $(if $(call casemate_set,STM32_HASH),stm32_hash $(if $(filter STM32F415xx STM32F417xx,$(CMSIS_MCU)),,stm32_sha2) $(if $(filter h5 u5,$(MCU_SERIES)),stm32_hash_$(if $(filter STM32H503xx,$(CMSIS_MCU)),u5,$(MCU_SERIES))))
CASEMATE_PROCESSORS := $(call casemate_set,$(if $(CASEMATE_AES),,STM32_CRYPTO) $(if $(filter f4 f7 h5 h7 l4 u5,$(MCU_SERIES)),,STM32_HASH))
ifneq ($(CASEMATE_PROCESSORS),)
$(error $(WOLFSSL_USER_SETTINGS_FILE): $(CASEMATE_PROCESSORS): not for WOLFSSL_PORT=$(WOLFSSL_PORT)$(if $(MCU_SERIES), and chips of the series $(MCU_SERIES)); STM32_CRYPTO is for stm32 on f4 f7 g4 h5 h7 l1 l4 u5 wb wl, STM32_HASH on f4 f7 h5 h7 l4 u5))
endif
CASEMATE_OPTIMIZE := $(call casemate_set,WOLFSSL_CONF_OPTIMIZE_SIZE WOLFSSL_CONF_OPTIMIZE_SPEED)
ifneq ($(words $(CASEMATE_OPTIMIZE)),$(if $(CASEMATE_OPTIMIZE),1,0))
$(error $(WOLFSSL_USER_SETTINGS_FILE): define one of $(CASEMATE_OPTIMIZE), not both)
endif
CASEMATE_PROFILE := $(if $(filter %_SIZE,$(CASEMATE_OPTIMIZE)),micropython-size,micropython)
CASEMATE_KNOWN := WOLFSSL_TLS13 WOLFSSL_NO_TLS12 NO_RSA ECC_USER_CURVES HAVE_ECC384 HAVE_ECC521 NO_SESSION_CACHE NO_ERROR_STRINGS NO_MD5 NO_SHA WOLFSSL_SHA384 WOLFSSL_SHA512 WOLFSSL_SHA3 WOLFSSL_SHAKE128 WOLFSSL_SHAKE256 \
	HAVE_AESGCM HAVE_AESCCM HAVE_HKDF WOLFSSL_CMAC HAVE_PBKDF2 WOLFHSM_CFG_ENABLE_CLIENT STM32_CRYPTO STM32_HASH WOLFSSL_CONF_OPTIMIZE_SIZE WOLFSSL_CONF_OPTIMIZE_SPEED
CASEMATE_IGNORED := $(filter-out $(CASEMATE_KNOWN),$(filter WOLF% HAVE_% NO_% STM32_%,$(CASEMATE_SETTINGS)))
ifneq ($(CASEMATE_IGNORED),)
$(info $(WOLFSSL_USER_SETTINGS_FILE): without meaning here: $(CASEMATE_IGNORED))
endif

# The target of the Rust part. On stm32 it follows the series, which MicroPython's make knows before this file.
ifeq ($(WOLFSSL_PORT),stm32)
CASEMATE_RUST_TARGET ?= $(if $(filter f0 g0 l0,$(MCU_SERIES)),thumbv6m-none-eabi,$(if $(filter l1,$(MCU_SERIES)),thumbv7m-none-eabi,$(if $(filter wl,$(MCU_SERIES)),thumbv7em-none-eabi,$(if $(filter h5 u5,$(MCU_SERIES)),thumbv8m.main-none-eabihf,thumbv7em-none-eabihf))))
endif
ifeq ($(WOLFSSL_PORT),qemu)
CASEMATE_RUST_TARGET ?= thumbv7m-none-eabi
endif

CASEMATE_CARGO ?= cargo
CASEMATE_TARGET_DIR ?= $(abspath $(BUILD))/rust
CASEMATE_ARCHIVE := $(CASEMATE_TARGET_DIR)/$(if $(CASEMATE_RUST_TARGET),$(CASEMATE_RUST_TARGET)/)$(CASEMATE_PROFILE)/libcasemate_micropython.a
casemate_comma := ,
casemate_empty :=
casemate_space := $(casemate_empty) $(casemate_empty)
CASEMATE_FEATURE_LIST := $(subst $(casemate_space),$(casemate_comma),$(strip $(CASEMATE_FEATURES)))

# What C calls. The linker keeps of the library what these reach.
CASEMATE_SYMBOLS := hash_state_size hash_start hash_update hash_finish hash_check_open aes_start aes_set_direction aes_run
CASEMATE_SYMBOLS += $(if $(filter stm32_crypto,$(CASEMATE_FEATURES)),aes_in_hardware) $(if $(filter stm32_hash,$(CASEMATE_FEATURES)),hash_in_hardware)
CASEMATE_SYMBOLS += $(if $(filter aead,$(CASEMATE_FEATURES)),aead_seal aead_open)
CASEMATE_SYMBOLS += $(if $(filter mac,$(CASEMATE_FEATURES)),hmac cmac hkdf pbkdf2)
CASEMATE_SYMBOLS += $(if $(filter tls,$(CASEMATE_FEATURES)),$(addprefix context_,new free set_mode set_callback set_protocols load_key add_anchors set_suites prepare) suite failure_text \
	$(addprefix session_,new free step input filled end_of_input output sent readable read write close shrink peer_certificate agreed protocol resumed))
CASEMATE_SYMBOLS += $(if $(filter hsm,$(CASEMATE_FEATURES)),$(addprefix hsm_,size start call output sent input filled abandon piece kind encode check) \
	$(if $(call casemate_set,NO_ERROR_STRINGS),,hsm_text) $(if $(filter tls,$(CASEMATE_FEATURES)),context_load_held_key))

SRC_USERMOD += $(addprefix $(CASEMATE_DIR)/src/,common.c heap.c modwolfhashlib.c modwolfcryptolib.c modwolfssl.c modcasemate.c)
SRC_USERMOD += $(CASEMATE_PORT_DIR)/port.c

CFLAGS_USERMOD += -I$(CASEMATE_DIR)/src
CFLAGS_USERMOD += $(foreach feature,$(filter-out firmware,$(CASEMATE_FEATURES)),-DCASEMATE_FEATURE_$(shell echo $(feature) | tr a-z A-Z)=1)
CFLAGS_USERMOD += $(if $(call casemate_set,NO_ERROR_STRINGS),-DCASEMATE_NO_ERROR_STRINGS=1)
CFLAGS_USERMOD += $(if $(filter unix,$(WOLFSSL_PORT)),-DCASEMATE_HEAP_LIBC=1)
ifeq ($(CASEMATE_TEST),1)
CFLAGS_USERMOD += -DCASEMATE_TEST=1
endif
ifeq ($(WOLFSSL_ALIAS),1)
CFLAGS_USERMOD += -DWOLFSSL_ALIAS=1
endif
ifneq ($(WOLFSSL_KEEP_BUILTIN),1)
# In brackets, as board files have it that switch the hash module off themselves: the preprocessor takes a repetition.
CFLAGS_USERMOD += '-DMICROPY_PY_HASHLIB=(0)' '-DMICROPY_PY_UHASHLIB=(0)'
# Ports that switch the cipher module on by themselves do so with the TLS module.
ifneq ($(WOLFSSL_PORT),stm32)
CFLAGS_USERMOD += -DMICROPY_PY_CRYPTOLIB=0 -DMICROPY_PY_UCRYPTOLIB=0
endif
endif

# One relocatable object with what C needs. It is found at whatever place of the link line LDFLAGS has, and carries no
# unwinding tables, for which MicroPython's linker scripts have no place.
CASEMATE_OBJECT := $(BUILD)/casemate_rust.o
LDFLAGS_USERMOD += $(CASEMATE_OBJECT)

.PHONY: casemate-cargo
casemate-cargo:
	$(Q)cd $(CASEMATE_DIR)/../rust && $(CASEMATE_CARGO) rustc --locked --lib --crate-type staticlib --profile $(CASEMATE_PROFILE) \
		--no-default-features --features $(CASEMATE_FEATURE_LIST) --target-dir $(CASEMATE_TARGET_DIR) \
		$(if $(CASEMATE_RUST_TARGET),--target $(CASEMATE_RUST_TARGET)) \
		$(if $(filter %-size,$(CASEMATE_PROFILE)),--config 'build.rustflags=["--cfg"$(casemate_comma) "aes_backend_soft=\"compact\""$(casemate_comma) "--cfg"$(casemate_comma) "sha2_backend_soft=\"compact\""$(casemate_comma) "--cfg"$(casemate_comma) "cpubits=\"32\""]') \
		$(CASEMATE_CARGO_FLAGS)

$(CASEMATE_ARCHIVE): casemate-cargo ;

# Optimized for size, firmware has memcpy and its like once: MicroPython's.
CASEMATE_MEMORY := $(if $(filter thumb%,$(CASEMATE_RUST_TARGET)),$(if $(filter %-size,$(CASEMATE_PROFILE)),$(BUILD)/casemate_memory.o))
CASEMATE_RENAMED := $(if $(CASEMATE_MEMORY),$(foreach function,memcpy memmove memset,--redefine-sym casemate_$(function)=$(function)))

$(BUILD)/casemate_memory.o: $(CASEMATE_DIR)/src/memory.c
	$(ECHO) "CC $<"
	$(Q)$(MKDIR) -p $(dir $@)
	$(Q)$(CC) $(CFLAGS) -fno-lto -ffunction-sections -c -o $@ $<

$(CASEMATE_OBJECT): $(CASEMATE_ARCHIVE) $(CASEMATE_MEMORY)
	$(ECHO) "LINK $@"
	$(Q)$(MKDIR) -p $(dir $@)
	$(Q)$(CROSS_COMPILE)ld -r --gc-sections $(addprefix -u casemate_,$(CASEMATE_SYMBOLS)) -o $@ $(CASEMATE_MEMORY) $<
	$(Q)$(CROSS_COMPILE)objcopy $(CASEMATE_RENAMED) $(if $(CASEMATE_RUST_TARGET),-R '.ARM.exidx*' -R '.ARM.extab*' -R '.rel.ARM.exidx*' -R '.rel.ARM.extab*') -R .llvmbc -R .llvmcmd $@

$(BUILD)/$(CASEMATE_SUBDIR)/src/common.o: $(CASEMATE_OBJECT)
