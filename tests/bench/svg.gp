# SPDX-License-Identifier: Apache-2.0
# What every plot is drawn as; the bench says into which file.
set terminal svg size 800,420 font 'sans-serif,13' background 'white'
