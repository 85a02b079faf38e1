// What slang's options in hw_src/slang.f do without in test benches.

// The test drives and looks at signals of the bench by their names.
-Wno-unassigned-variable
-Wno-unused-variable
-Wno-unused-port
// What stands in for a module has all its parameters.
-Wno-unused-parameter
