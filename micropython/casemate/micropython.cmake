# For MicroPython ports that are built with CMake. What has been tried is in docs/micropython.md.
#
# CASEMATE_RUST_TARGET (Rust's name of the target) and CASEMATE_PORT_SOURCE (a C file with casemate_port_random,
# casemate_port_time and casemate_port_milliseconds, as ports/*/port.c) have to be set. CASEMATE_FEATURES may be.

if(NOT CASEMATE_RUST_TARGET OR NOT CASEMATE_PORT_SOURCE)
    message(FATAL_ERROR "set CASEMATE_RUST_TARGET to Rust's name of the target and CASEMATE_PORT_SOURCE to a C file like ports/*/port.c")
endif()

set(CASEMATE_TARGET_DIR ${CMAKE_BINARY_DIR}/rust)
set(CASEMATE_ARCHIVE ${CASEMATE_TARGET_DIR}/${CASEMATE_RUST_TARGET}/micropython-size/libcasemate_micropython.a)
if(NOT CASEMATE_FEATURES)
    set(CASEMATE_FEATURES md5 sha1 sha512 sha3 aead mac tls tls12 rsa p384 p521 resumption hsm)
endif()
string(REPLACE ";" "," CASEMATE_FEATURE_LIST "firmware;${CASEMATE_FEATURES}")

add_custom_target(casemate_cargo
    COMMAND cargo rustc --locked --lib --crate-type staticlib --profile micropython-size
        --no-default-features --features ${CASEMATE_FEATURE_LIST}
        --target ${CASEMATE_RUST_TARGET} --target-dir ${CASEMATE_TARGET_DIR}
    WORKING_DIRECTORY ${CMAKE_CURRENT_LIST_DIR}/../rust
    BYPRODUCTS ${CASEMATE_ARCHIVE}
)

add_library(usermod_casemate INTERFACE)
add_dependencies(usermod_casemate casemate_cargo)
target_sources(usermod_casemate INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/src/common.c
    ${CMAKE_CURRENT_LIST_DIR}/src/heap.c
    ${CMAKE_CURRENT_LIST_DIR}/src/modwolfhashlib.c
    ${CMAKE_CURRENT_LIST_DIR}/src/modwolfcryptolib.c
    ${CMAKE_CURRENT_LIST_DIR}/src/modwolfssl.c
    ${CMAKE_CURRENT_LIST_DIR}/src/modcasemate.c
    ${CASEMATE_PORT_SOURCE}
)
target_include_directories(usermod_casemate INTERFACE ${CMAKE_CURRENT_LIST_DIR}/src)
set(CASEMATE_DEFINITIONS MICROPY_PY_HASHLIB=0 MICROPY_PY_CRYPTOLIB=0)
foreach(feature ${CASEMATE_FEATURES})
    string(TOUPPER ${feature} feature)
    list(APPEND CASEMATE_DEFINITIONS CASEMATE_FEATURE_${feature}=1)
endforeach()
target_compile_definitions(usermod_casemate INTERFACE ${CASEMATE_DEFINITIONS})
# MicroPython's search for names, which takes definitions from nowhere else, has to see the same parts of the sources.
list(APPEND MICROPY_CPP_DEF_EXTRA ${CASEMATE_DEFINITIONS})
target_link_libraries(usermod_casemate INTERFACE ${CASEMATE_ARCHIVE})
target_link_libraries(usermod INTERFACE usermod_casemate)
