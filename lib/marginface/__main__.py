"""`python -m marginface`, which is the console command `marginface`; `torchrun -m marginface train …` for several processes."""

from marginface.commands import main

if __name__ == "__main__":
    main()
