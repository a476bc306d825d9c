# FAI fills a directory here; the disk is put together from it afterwards (infra/image/build/assemble.ts).
skiptask partition mountdisks chboot
