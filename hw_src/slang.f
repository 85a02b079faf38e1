// How tests/repository/test_slang.py reads the logic with slang: everything that slang warns of is
// an error, but for these, each with its reason. tests/support/rtl/benches.f adds what test benches
// need.
-Weverything

// tests/support/rtl/signs.py checks signs: it tells where one is lost (a signed value filled up with
// zeros, compared or multiplied as unsigned) from where the same bits go on under another name.
// These warn of both, and the two in the middle of factors of different widths as well.
-Wno-sign-conversion
-Wno-arith-op-mismatch
-Wno-bitwise-op-mismatch
-Wno-sign-compare

// Memories and delay lines hold plain bits, whatever array a word is to those who use it. The
// widths have to agree all the same.
-Wno-packed-array-conv

// Fields of instructions come from DRAM as plain bits and are compared with the names of their
// values; a cast would hide that any value can come.
-Wno-case-type
// The default branch of a state machine is one of its states: so it has a next one from any bits.
-Wno-case-enum-explicit
-Wno-case-redundant-default

// A cast to a parameter's width changes nothing where the parameter has that value.
-Wno-useless-cast

// The package is generated, for test benches and readers too. No module uses all of it.
-Wno-unused-package-parameter
-Wno-unused-package-subroutine
-Wno-unused-package-typedef
// A signal `unused` takes the bits that a module has no use for. That nothing else is unused,
// Verilator says.
-Wno-unused-but-set-variable
-Wno-unused-net
// One module at a time is elaborated.
-Wno-unused-def

// A flip-flop that a reset clears at any time may as well be clear from configuration on.
--allow-dup-initial-drivers
