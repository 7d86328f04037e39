#include "textflag.h"

// The class of a byte is looked up by its halves: it is a word character if the
// entries of its low and its high half have a bit in common.
//
//	bit 0: 2d 2e          - .
//	bit 1: 30 to 39       digits
//	bit 2: 41 to 4f, 61 to 6f
//	bit 3: 50 to 5a, 5f   P to Z, _
//	bit 4: 70 to 7a       p to z
DATA low<>+0(SB)/8, $0x1e1e1e1e1e1e1e1a
DATA low<>+8(SB)/8, $0x0c050504041c1e1e
GLOBL low<>(SB), RODATA|NOPTR, $16
DATA high<>+0(SB)/8, $0x1004080402010000
DATA high<>+8(SB)/8, $0
GLOBL high<>(SB), RODATA|NOPTR, $16
DATA nibble<>+0(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL nibble<>(SB), RODATA|NOPTR, $8
DATA controls<>+0(SB)/8, $0x1f1f1f1f1f1f1f1f
GLOBL controls<>(SB), RODATA|NOPTR, $8

// func markAVX2(text *byte, blocks int, special, control *uint64)
TEXT ·markAVX2(SB), NOSPLIT, $0-32
	MOVQ text+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVQ special+16(FP), DI
	MOVQ control+24(FP), DX
	VBROADCASTI128 low<>(SB), Y0
	VBROADCASTI128 high<>(SB), Y1
	VPBROADCASTQ nibble<>(SB), Y2
	VPBROADCASTQ controls<>(SB), Y3
	VPXOR Y4, Y4, Y4

block:
	VMOVDQU (SI), Y5
	VMOVDQU 32(SI), Y6

	VPSHUFB Y5, Y0, Y7 // nothing for bytes above 7f
	VPSRLW $4, Y5, Y8
	VPAND Y2, Y8, Y8
	VPSHUFB Y8, Y1, Y8
	VPAND Y7, Y8, Y7
	VPCMPEQB Y4, Y7, Y7
	VPMOVMSKB Y7, AX
	VPSHUFB Y6, Y0, Y9
	VPSRLW $4, Y6, Y10
	VPAND Y2, Y10, Y10
	VPSHUFB Y10, Y1, Y10
	VPAND Y9, Y10, Y9
	VPCMPEQB Y4, Y9, Y9
	VPMOVMSKB Y9, BX
	SHLQ $32, BX
	ORQ BX, AX
	MOVQ AX, (DI)

	VPMINUB Y3, Y5, Y11
	VPCMPEQB Y5, Y11, Y11
	VPMOVMSKB Y11, AX
	VPMINUB Y3, Y6, Y12
	VPCMPEQB Y6, Y12, Y12
	VPMOVMSKB Y12, BX
	SHLQ $32, BX
	ORQ BX, AX
	MOVQ AX, (DX)

	ADDQ $64, SI
	ADDQ $8, DI
	ADDQ $8, DX
	DECQ CX
	JNZ block
	VZEROUPPER
	RET

// func cpuid(leaf, sub uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL sub+4(FP), CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET

// func xgetbv() uint32
TEXT ·xgetbv(SB), NOSPLIT, $0-4
	XORL CX, CX
	XGETBV
	MOVL AX, ret+0(FP)
	RET
