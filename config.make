cat << END                                                    >> $NGX_MAKEFILE

$KIRO_LIB:	kirocore-build
	@:

kirocore-build:
	cmake -S $ngx_addon_dir -B $KIRO_BUILD -DKIRO_CORE_ONLY=ON \
		-DCMAKE_CXX_FLAGS="$NGX_CC_OPT"
	+cmake --build $KIRO_BUILD --target kirocore

.PHONY:	kirocore-build
END
