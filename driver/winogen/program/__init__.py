"""What a compiled network is: the program file, its parts, the memory that it takes."""
