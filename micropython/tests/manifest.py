# What the firmware of `cargo xtask micropython` has frozen: MicroPython's asyncio, and what its tests need of
# micropython-lib, which Debian's source package does not contain; and what ours share.
include("$(MPY_DIR)/extmod/asyncio")
module("ssl.py", base_path="lib")
module("unittest.py", base_path="lib")
module("tls_pair.py")
