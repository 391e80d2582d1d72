# The proxy reads WebAssembly text as it is: there is nothing to build.
