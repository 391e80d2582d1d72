module int3rceptor

go 1.24
