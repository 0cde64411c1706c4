#!/usr/bin/env bash
# Fetches a data set from where its authors publish it, checks the digest they give, and unpacks it.
#
#     scripts/get-data.sh cifar10 ~/datasets        # ~/datasets/cifar-10-batches-bin
#     scripts/get-data.sh cifar100 ~/datasets       # ~/datasets/cifar-100-binary
#     scripts/get-data.sh mnist ~/datasets          # ~/datasets/mnist
#
# An archive that is already in the folder is checked and used. CIFAR: Krizhevsky, Learning Multiple Layers of Features
# from Tiny Images, 2009. MNIST: LeCun, Cortes and Burges.
set -euo pipefail

if [ $# -ne 2 ]; then
    echo "usage: $0 cifar10|cifar100|mnist DIR" >&2
    exit 2
fi
set_name=$1
mkdir -p "$2"
cd "$2"

# fetch URL MD5: the file of the URL's last part, with this digest.
fetch() {
    local file=${1##*/}
    [ -e "$file" ] || curl --fail --location --progress-bar --output "$file.part" "$1"
    [ ! -e "$file.part" ] || mv "$file.part" "$file"
    local actual
    actual=$(md5sum "$file" | cut -d' ' -f1)
    if [ "$actual" != "$2" ]; then
        echo "$PWD/$file has MD5 $actual, expected $2: remove it and try again" >&2
        exit 1
    fi
}

case $set_name in
    cifar10)
        fetch https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz c32a1d4ab5d03f1284b67883e8d87530
        tar -xzf cifar-10-binary.tar.gz
        echo "$PWD/cifar-10-batches-bin"
        ;;
    cifar100)
        fetch https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz 03b5dce01913d631647c71ecec9e9cb8
        tar -xzf cifar-100-binary.tar.gz
        echo "$PWD/cifar-100-binary"
        ;;
    mnist)
        mkdir -p mnist
        cd mnist
        base=https://storage.googleapis.com/cvdf-datasets/mnist
        fetch $base/train-images-idx3-ubyte.gz f68b3c2dcbeaaa9fbdd348bbdeb94873
        fetch $base/train-labels-idx1-ubyte.gz d53e105ee54ea40749a09fcbcd1e9432
        fetch $base/t10k-images-idx3-ubyte.gz 9fb629c4189551a2d022fa330f9573f3
        fetch $base/t10k-labels-idx1-ubyte.gz ec29112dd5afa0611ce80d1b7f02629c
        gunzip --keep --force ./*.gz
        echo "$PWD"
        ;;
    *)
        echo "unknown data set \"$set_name\": cifar10, cifar100 or mnist" >&2
        exit 2
        ;;
esac
